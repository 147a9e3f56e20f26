"""The evaluation: its cities, its rows and its tables, on cities of a few square kilometres."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gair.arrays import Floats
from gair.config import preset
from gair.encoders.initial import initial_state
from gair.errors import UsageError
from gair.geo import haversine_m
from gair.info import ModelInfo
from gair.model import Gair
from indexer.imagery import open_imagery
from training import evaluate
from training.dataset.pack.footprints import Square, tile_squares
from training.evaluate import main, table
from training.experiments.city_search import Searched, city_files, read_truth
from training.pretraining.config import PRESETS
from training.synthetic import dataset
from training.synthetic.album import plan_photos
from training.synthetic.areas import BLOCK_M, BUFFER_M, HELD_OUT_SHARE, for_training, held_out
from training.synthetic.city import FOOTPRINT_MERCATOR_M, City

UNSEEN, SEEN, PHOTOS = City(3, 1900.0), City(1, 3800.0), 12


def demo_shaped_model() -> Gair:
    config = preset("demo")
    model = Gair.without_weights(config, ModelInfo("shaped", "none", trained=False, source="test"))
    model.load_state_dict(initial_state(model.state_dict(), config, 0), assign=True)
    return model


@pytest.fixture(scope="module")
def small_cities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder whose cities are written already."""
    folder = tmp_path_factory.mktemp("evaluation")
    city_files(UNSEEN, folder / "cities", PHOTOS)
    city_files(SEEN, folder / "cities", PHOTOS, only_held_out=True)
    return folder


def test_held_out_blocks_are_a_fifth_and_grow_by_the_buffer() -> None:
    at = np.arange(BLOCK_M, 60_000, 97.0)
    inside = held_out(1, at[None, :], at[:, None])
    assert inside.mean() == pytest.approx(HELD_OUT_SHARE, abs=0.03)
    grown = held_out(1, at[None, :], at[:, None], grow_m=BUFFER_M)
    assert grown[inside].all()
    columns, rows = np.meshgrid(at, at)
    edge = grown & ~inside
    # Whatever the buffer adds lies within it of a block.
    blocks = {
        (int(x // BLOCK_M), int(y // BLOCK_M))
        for x, y in zip(columns[inside], rows[inside], strict=True)
    }
    inner = (np.minimum(columns, rows) > 2 * BLOCK_M) & (np.maximum(columns, rows) < 57_000)
    for x, y in list(zip(columns[edge & inner], rows[edge & inner], strict=True))[::97]:
        far = min(
            max(c * BLOCK_M - x, x - (c + 1) * BLOCK_M, r * BLOCK_M - y, y - (r + 1) * BLOCK_M)
            for c, r in blocks
        )
        assert 0 <= far <= BUFFER_M


def test_photos_of_the_seen_city_come_from_held_out_blocks(small_cities: Path) -> None:
    home = city_files(SEEN, small_cities / "cities", PHOTOS, only_held_out=True)
    paths, lonlat_deg = read_truth(home)
    assert len(paths) == PHOTOS
    corner = SEEN.lonlat_deg([0.0], [0.0])[0]
    x_m = haversine_m(np.stack([lonlat_deg[:, 0], np.full(PHOTOS, corner[1])], 1), corner)
    y_m = haversine_m(np.stack([np.full(PHOTOS, corner[0]), lonlat_deg[:, 1]], 1), corner)
    assert held_out(SEEN.seed, x_m, y_m, grow_m=60).all()  # UTM against the sphere: some metres


def test_a_city_is_written_once(small_cities: Path) -> None:
    home = city_files(UNSEEN, small_cities / "cities", PHOTOS)
    before = (home / "photos.csv").stat().st_mtime_ns
    again = city_files(UNSEEN, small_cities / "cities", PHOTOS)
    assert again == home
    assert (home / "photos.csv").stat().st_mtime_ns == before


def test_a_broken_photo_is_a_miss(small_cities: Path, tmp_path: Path) -> None:
    home = city_files(UNSEEN, tmp_path / "cities", 3)
    paths, _ = read_truth(home)
    for path in paths:
        path.write_bytes(b"no photo")
    metrics = Searched(demo_shaped_model(), "nili", home, tmp_path / "indexes").metrics(1, 0)
    assert metrics["photos"] == 3
    assert metrics["recall@100_1000m"] == 0
    assert metrics["chance_recall@100_1000m"] > 0.5


def test_evaluation_end_to_end(
    small_cities: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dataset, "UNSEEN_CITY", UNSEEN)
    monkeypatch.setattr(dataset, "SEEN_CITY", SEEN)
    folder = demo_shaped_model().save_pretrained(tmp_path / "model")
    assert main([str(folder), "--out", str(small_cities), "--photos", str(PHOTOS)]) == 0
    text = capsys.readouterr().out
    rows = json.loads((small_cities / "evaluation.json").read_text())
    labels = [row["label"] for row in rows["unseen"]]
    assert labels == ["shaped", "shaped, frames read by bilinear", "shaped, frames read by mean"]
    assert [row["label"] for row in rows["seen"]] == [
        "shaped: imagery",
        "shaped: location",
        "shaped: imagery + location",
    ]
    assert len({row["median_error_m"] for row in rows["seen"]}) > 1
    assert text.count("| chance |") == 2
    assert evaluate.ON_SEEN_GROUND in (small_cities / "evaluation.md").read_text()
    assert (small_cities / "evaluation.md").read_text() in text
    with (small_cities / "cities" / f"city-3-1900m-{PHOTOS}" / "photos.csv").open() as file:
        assert len(list(csv.DictReader(file))) == PHOTOS == rows["unseen"][0]["photos"]


def test_a_table_has_a_column_for_every_recall_and_chance_below() -> None:
    heads = [f"R@{k} cells {radius}" for radius in ("200 m", "1 km") for k in (1, 10, 100)]
    names = [f"recall@{k}_{r}m" for r in (200, 1000) for k in (1, 10, 100)]
    row = {name: (n + 1) / 10 for n, name in enumerate(names)}
    row |= {f"chance_{name}": 0.01 for name in names}
    row |= {"median_error_m": 1234.4, "chance_median_error_m": 5000.0}
    text = table([{"label": "m", **row}])
    assert text.splitlines() == [
        f"| | {' | '.join(heads)} | median error |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        "| m | 10.0% | 20.0% | 30.0% | 40.0% | 50.0% | 60.0% | 1,234 m |",
        "| chance | 1.0% | 1.0% | 1.0% | 1.0% | 1.0% | 1.0% | 5,000 m |",
    ]


@pytest.mark.slow
def test_the_share_of_held_out_ground_inside_training_frames_is_as_told(tmp_path: Path) -> None:
    city = dataset.SEEN_CITY
    world = city.draw()
    training = plan_photos(world, city, "training photos", 13_000)
    kept = for_training(city.seed, training.cameras.x_m, training.cameras.y_m)
    (scene,) = city.write_scenes(world, tmp_path, 1)
    with open_imagery(scene) as imagery:
        frames = {
            square.footprint_id
            for square in squares_of(training.take(kept).lonlat_deg)
            if imagery.read(square.footprint, (96, 96)).valid_fraction >= 0.98
        }
    asked = plan_photos(world, city, "evaluation photos", 20_000)
    held = asked.take(held_out(city.seed, asked.cameras.x_m, asked.cameras.y_m))
    counts = {square.footprint_id: len(square.photos) for square in squares_of(held.lonlat_deg)}
    share = sum(n for name, n in counts.items() if name in frames) / sum(counts.values())
    told = re.search(r"(\d+) % of their photos", evaluate.ON_SEEN_GROUND)
    assert told is not None
    assert 100 * share == pytest.approx(int(told[1]), abs=1.5)


def squares_of(lonlat_deg: Floats) -> list[Square]:
    return tile_squares(
        range(len(lonlat_deg)), lonlat_deg, ["city"] * len(lonlat_deg), FOOTPRINT_MERCATOR_M
    )


def test_variants_differ_in_one_thing_and_finished_runs_are_kept(tmp_path: Path) -> None:
    assert len({v.name for v in evaluate.VARIANTS}) == 5
    assert [v.flags for v in evaluate.VARIANTS if v.name == "both"] == [()]
    secl = next(v for v in evaluate.VARIANTS if v.name == "secl")
    assert "--no-stop-location-gradient" in secl.flags  # else nothing would train the image towers
    assert all(len(v.flags) in (0, 2) for v in evaluate.VARIANTS if v is not secl)
    variant = evaluate.VARIANTS[3]
    done = tmp_path / "bilinear-7" / "model"
    done.mkdir(parents=True)
    (done / "config.json").write_text("{}")
    assert evaluate.train_variant(variant, tmp_path / "nowhere", tmp_path, 7) == done


def test_short_variants_warm_up_as_long_as_the_demo() -> None:
    demo = PRESETS["demo"]
    assert evaluate.warmup_share(demo.steps) == pytest.approx(demo.warmup_share)
    for steps in (500, 1500, 3000, 10_000):
        assert steps * evaluate.warmup_share(steps) == pytest.approx(60)
    assert evaluate.warmup_share(80) == 0.5


def test_noisy_variants_run_by_name_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [v.name for v in evaluate.variants_named(["noise-100", "both", "both"])] == [
        "noise-100",
        "both",
    ]
    assert evaluate.variants_named(["noise-100"])[0].flags == ("--coordinate-noise-m", "100")
    assert not set(evaluate.NOISE_VARIANTS) & set(evaluate.VARIANTS)
    with pytest.raises(UsageError, match="no variant 'nois'; there are: both, incl, secl"):
        evaluate.variants_named(["nois"])
    out = ["--out", str(tmp_path / "out")]
    assert main(["--ablate", str(tmp_path), "--variants", "both,nois", *out]) == 2
    assert "no variant 'nois'" in capsys.readouterr().err
    assert main(["shipped:demo", "--variants", "both", *out]) == 2
    assert "give the data set with --ablate" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [([], "name model folders"), (["x", "--photos", "0"], "1 or more"), (["/nowhere"], "/nowhere")],
)
def test_refusals_are_one_line(
    argv: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--out", str(tmp_path)]) in (1, 2)
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.process
def test_help_teaches_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, contextlib\n"
        "from training.evaluate import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "assert not {'torch', 'faiss', 'rasterio', 'pyarrow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--ablate" in done.stdout
    assert evaluate.__doc__ is not None
