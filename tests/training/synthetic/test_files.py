"""Synthetic cities in the formats of real data: shards, GeoTIFFs, manifests, and who reads them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gair.errors import UsageError
from indexer.imagery import open_imagery
from indexer.photos.listing import read_photos
from training.dataset.cli import main as dataset_command
from training.dataset.shards import ShardedDataset
from training.synthetic import dataset
from training.synthetic.areas import BUFFER_M, between_training_places, held_out, in_gap
from training.synthetic.city import City
from training.synthetic.cli import main
from training.synthetic.conditions import CAMERAS, SEASONS, WEATHERS, Conditions
from training.synthetic.dataset import write_world
from training.synthetic.files import write_city
from training.synthetic.options import WorldOptions

SEEN = City(seed=1, side_m=3200.0)


def metres_of(city: City, lonlat_deg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """East and south of the city's corner."""
    import pyproj

    west, north = city.west_north_m
    to_crs = pyproj.Transformer.from_crs("OGC:CRS84", city.crs, always_xy=True)
    x, y = to_crs.transform(*lonlat_deg.T)
    return np.asarray(x) - west, north - np.asarray(y)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_world(tmp_path_factory.mktemp("world"), processes=1)


def write_small_world(folder: Path, *, processes: int) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setattr(dataset, "SEEN_CITY", SEEN)
    patch.setattr(dataset, "VALIDATION_CITY", City(seed=2, side_m=2300.0))
    size = {"cities": 1, "side_km": 2.3, "photos": 60, "validation_photos": 20, "dates": 2}
    try:
        write_world(folder, WorldOptions(**size, drawn_ahead=True, processes=processes))
    finally:
        patch.undo()
    return folder


def test_a_world_is_a_data_set_like_any_other(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, val = (ShardedDataset.open(world, split, verify=True) for split in ("train", "val"))
    assert train.manifest["synthetic"] is True
    assert set(train.places) == {"city-1", "city-100"}
    assert set(val.places) == {"city-2"}
    assert len(train) > 80
    assert len(val) == 20
    for split in (train, val):
        assert all(len(days) == 2 for days in split.dates)
        for photo in range(len(split)):
            square = split.footprints[split.footprint_of_photo[photo]]
            assert np.abs(square.frame_xy(split.lonlat_deg[[photo]])).max() <= 1
        assert split.frame_dn(0, 0).shape[0] == 10
        assert not np.array_equal(split.frame_dn(0, 0), split.frame_dn(0, 1))
    assert dataset_command(["info", str(world), "--verify"]) == 0
    assert "SYNTHETIC" in capsys.readouterr().out


def test_no_training_photo_lies_in_or_near_a_held_out_block(world: Path) -> None:
    train = ShardedDataset.open(world, "train")
    in_seen = [train.places[f] == "city-1" for f in train.footprint_of_photo]
    lonlat_deg = train.lonlat_deg[np.array(in_seen)]
    x_m, y_m = metres_of(SEEN, lonlat_deg)
    assert len(lonlat_deg) > 20
    assert held_out(1, *np.mgrid[0:3200:200, 0:3200:200]).any()
    assert not held_out(1, x_m, y_m, grow_m=BUFFER_M - 1).any()
    assert not in_gap(1, x_m, y_m, grow_m=20).any()


def test_photos_hold_pixels_and_nothing_else(world: Path) -> None:
    train = ShardedDataset.open(world, "train")
    with Image.open(io.BytesIO(train.photo_jpeg(0))) as photo:
        assert photo.size == (256, 192)
        assert not photo.getexif()
        assert set(photo.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_the_same_options_give_the_same_bytes(world: Path, tmp_path: Path) -> None:
    write_small_world(tmp_path / "again", processes=2)
    first, again = (
        json.loads((f / "dataset.json").read_text()) for f in (world, tmp_path / "again")
    )
    assert first["shards"] == again["shards"]


def test_a_city_as_files_goes_through_pack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    city = City(seed=8, side_m=2600.0)
    files = write_city(city, tmp_path / "city", photos=30, calibration_photos=8, reference_photos=5)
    assert files.calibration is not None
    assert files.references is not None
    others = [*read_photos(files.calibration), *read_photos(files.references)]
    assert len({photo.lonlat_deg for photo in others}) == 8 + 5
    places = {photo.lonlat_deg for photo in read_photos(files.manifest)}
    assert len(places) == 30
    assert places.isdisjoint(photo.lonlat_deg for photo in others)
    with files.manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert len(list(files.imagery.iterdir())) == 2
    with open_imagery(sorted(files.imagery.iterdir())[0]) as imagery:
        assert imagery.resolution_m == pytest.approx(10, rel=1e-3)
    argv = ["pack", "--photos", str(files.manifest), "--imagery", str(files.imagery), "--synthetic"]
    argv += ["--footprint-m", "1222.99", "--out", str(tmp_path / "packed")]
    assert dataset_command(argv) == 0
    packed = ShardedDataset.open(tmp_path / "packed", "train")
    assert len(packed) > 8  # the others lie in tiles that reach beyond the city
    assert len(packed) + sum(packed.manifest["left_out"].values()) == 30
    headings = {float(row["heading"]) for row in rows}
    assert {round(float(h), 1) for h in packed.heading_deg} <= headings
    assert packed.manifest["synthetic"] is True


def test_too_small_a_city_for_its_photos_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only 0 of"):
        write_city(
            City(seed=8, side_m=1600.0),
            tmp_path,
            photos=5,
            wanted=lambda x, y: np.zeros(len(x), dtype=bool),
            quiet=True,
        )


SMALL = ("city", "--seed", "1", "--side-km", "3.2", "--dates", "1")


def rows_of(folder: Path, *flags: str) -> list[dict[str, str]]:
    assert main([*SMALL, *flags, "--out", str(folder)]) == 0
    with (folder / "photos.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def metres_of_rows(rows: list[dict[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    return metres_of(SEEN, np.array([[float(row["lon"]), float(row["lat"])] for row in rows]))


@pytest.mark.parametrize(
    ("flag", "area"),
    [
        ("--from-held-out-blocks", held_out),
        ("--between-training-places", between_training_places),
    ],
)
def test_photos_from_one_area_only(tmp_path: Path, flag: str, area: Callable[..., Any]) -> None:
    photos = ("--photos", "6")
    everywhere = metres_of_rows(rows_of(tmp_path / "all", *photos))
    inside = metres_of_rows(rows_of(tmp_path / "inside", *photos, flag))
    assert area(1, *everywhere).mean() < area(1, *inside).mean() == 1


def test_a_manifest_tells_the_conditions_of_each_photo(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "--photos", "24", "--condition", "any")
    for row in rows:
        moment = datetime.fromisoformat(row["captured_at"])
        day = moment.timetuple().tm_yday
        hour = float(row["hour"])
        assert abs(moment.hour + moment.minute / 60 - hour) < 0.03
        when = Conditions(
            np.array([day]), np.array([hour], np.float32), *(np.zeros(1, np.uint8),) * 5
        )
        assert row["season"] == SEASONS[when.season[0]]
        elevation = when.sun_deg[1][0]
        # Hours are rounded, and at 3 and at -7 degrees begin day and night.
        if min(abs(elevation - 3), abs(elevation + 7)) > 0.3:
            assert row["light"] == (
                "day" if elevation > 3 else "dusk" if elevation > -7 else "night"
            )
        assert row["weather"] in WEATHERS
        assert row["camera"] in CAMERAS
        assert 1 < float(row["eye_m"]) < 7
        assert (row["condition"], row["sequence"]) == ("any", "")
    assert len({row["season"] for row in rows}) > 2
    assert len({row["weather"] for row in rows}) > 2
    (listed, *_) = read_photos(tmp_path / "photos.csv", extra=("light", "hour"))
    assert listed.captured_at == rows[0]["captured_at"]
    assert listed.extra == {name: rows[0][name] for name in ("light", "hour")}


def test_conditions_change_and_places_do_not(tmp_path: Path) -> None:
    day = rows_of(tmp_path / "day", "--photos", "6")
    night = rows_of(tmp_path / "night", "--photos", "6", "--condition", "night")
    for name in ("lat", "lon", "file"):
        assert [row[name] for row in day] == [row[name] for row in night]
    assert {row["light"] for row in day} <= {"day", "dusk"}
    assert {row["light"] for row in night} == {"night"}
    levels = [
        np.mean([np.asarray(Image.open(tmp_path / when / row["file"])).mean() for row in day])
        for when in ("day", "night")
    ]
    assert levels[1] < 0.75 * levels[0]


def test_frames_of_a_drive_are_a_step_apart(tmp_path: Path) -> None:
    flags = ("--sequences", "3", "--frames", "4", "--step-m", "5")
    rows = rows_of(tmp_path, *flags)
    assert len(rows) == 12
    x_m, y_m = (values.reshape(3, 4) for values in metres_of_rows(rows))
    steps = np.hypot(np.diff(x_m), np.diff(y_m))
    assert steps == pytest.approx(np.full((3, 3), 5.0), abs=0.05)
    for drive in range(3):
        frames = rows[4 * drive : 4 * drive + 4]
        for name in ("sequence", "captured_at", "camera", "weather", "eye_m"):
            assert len({row[name] for row in frames}) == 1, name
    assert len({row["sequence"] for row in rows} - {""}) == 3


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["world", "--out", "x", "--photos", "0"], "--photos is 0"),
        (["city", "--out", "x", "--side-km", "0.5"], "--side-km is 0.5: it must be from 1.5 to 40"),
        (["city", "--out", "x", "--seed", "-1"], "--seed is -1: it must be 0 or more"),
        (["city", "--out", "x", "--step-m", "0"], "--step-m is 0"),
    ],
)
def test_refusals_name_the_value(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_data_set_in_the_way_is_not_replaced(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (world / "dataset.json").read_bytes()
    assert main(["world", "--out", str(world), "--cities", "1", "--photos", "9"]) == 2
    assert "overwrite" in capsys.readouterr().err
    assert (world / "dataset.json").read_bytes() == before


@pytest.mark.process
def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, contextlib\n"
        "from training.synthetic.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "assert not {'torch', 'pyarrow', 'rasterio', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "training.pretrain" in done.stdout
