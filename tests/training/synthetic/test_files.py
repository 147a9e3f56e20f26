"""Synthetic cities in the formats of real data: shards, GeoTIFFs, manifests, and who reads them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gair.errors import UsageError
from indexer.imagery import open_imagery
from indexer.photos.listing import read_photos
from training.dataset.cli import main as dataset_command
from training.dataset.shards import ShardedDataset
from training.synthetic import dataset
from training.synthetic.city import BUFFER_M, City, held_out
from training.synthetic.cli import main
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
    folder = tmp_path_factory.mktemp("world")
    patch = pytest.MonkeyPatch()
    patch.setattr(dataset, "SEEN_CITY", SEEN)
    patch.setattr(dataset, "VALIDATION_CITY", City(seed=2, side_m=2300.0))
    options = WorldOptions(cities=1, side_km=2.6, photos=60, validation_photos=20, processes=1)
    write_world(folder, options)
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


def test_photos_hold_pixels_and_nothing_else(world: Path) -> None:
    train = ShardedDataset.open(world, "train")
    with Image.open(io.BytesIO(train.photo_jpeg(0))) as photo:
        assert photo.size == (128, 96)
        assert not photo.getexif()
        assert set(photo.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_the_same_options_give_the_same_bytes(world: Path, tmp_path: Path) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(dataset, "SEEN_CITY", SEEN)
    patch.setattr(dataset, "VALIDATION_CITY", City(seed=2, side_m=2300.0))
    options = WorldOptions(cities=1, side_km=2.6, photos=60, validation_photos=20, processes=2)
    write_world(tmp_path / "again", options)
    patch.undo()
    first, again = (
        json.loads((f / "dataset.json").read_text()) for f in (world, tmp_path / "again")
    )
    assert first["shards"] == again["shards"]


def test_a_city_as_files_goes_through_pack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    city = City(seed=8, side_m=2600.0)
    files = write_city(city, tmp_path / "city", photos=30, calibration_photos=8)
    assert files.calibration is not None
    others = read_photos(files.calibration)
    assert len(others) == 8
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


def test_photos_from_held_out_blocks_only(tmp_path: Path) -> None:
    argv = ["city", "--seed", "1", "--side-km", "3.2", "--photos", "6", "--dates", "1"]
    shares = []
    for number, flags in enumerate([[], ["--from-held-out-blocks"]]):
        assert main([*argv, *flags, "--out", str(tmp_path / str(number))]) == 0
        with (tmp_path / str(number) / "photos.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        x_m, y_m = metres_of(SEEN, np.array([[float(r["lon"]), float(r["lat"])] for r in rows]))
        shares.append(held_out(1, x_m, y_m).mean())
    assert shares[0] < shares[1] == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["world", "--out", "x", "--photos", "0"], "--photos is 0"),
        (["city", "--out", "x", "--side-km", "0.5"], "--side-km is 0.5: it must be from 1.5 to 40"),
        (["city", "--out", "x", "--seed", "-1"], "--seed is -1: it must be 0 or more"),
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
