"""The demo up to the page: a synthetic city becomes an index, and its photos get answers."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pyproj
import pytest
from repository import REPOSITORY

from app.demo import main, why_to_build
from app.examples import read_samples
from app.views.index_facts import facts_line_html, standing_warnings_html
from gair.fields import from_namespace
from gair.info import ModelInfo
from gair.model import Gair
from indexer.index.index import open_index
from indexer.search.geolocator import Geolocator
from training.synthetic.city import ATTRIBUTION, City
from training.synthetic.cli import _parser
from training.synthetic.dataset import SEEN_CITY, UNSEEN_CITY
from training.synthetic.files import write_city
from training.synthetic.options import CityOptions

MODEL = "untrained:demo"
RESOLUTION = 9
PHOTOS = 6


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("city")
    write_city(City(seed=8, side_m=1800.0), folder, photos=PHOTOS, dates=1, quiet=True)
    return folder


@pytest.fixture(scope="module")
def indexes(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexes")
    assert main(arguments(city, folder)) == 0
    return folder


def arguments(city: Path, out: Path, *more: str) -> list[str]:
    where = ["--city", str(city), "--out", str(out), "--resolution", str(RESOLUTION)]
    return [*where, "--model", MODEL, "--no-page", *more]


def test_an_index_is_made_and_the_first_photos_are_answered(
    city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(city, tmp_path)) == 0
    said = capsys.readouterr().out
    assert "no index yet: python -m indexer build --imagery" in said
    index = open_index(tmp_path / "demo")
    assert 20 < len(index.cells) < 60  # 3.2 km2 in cells of 0.11 km2
    assert re.findall(r"(\S+): best guess", said) == [f"city-8-000{n}.jpg" for n in range(3)]
    assert f"This is a demo. {ATTRIBUTION}.\n" in said
    assert "untrained" in said
    assert "note: Synthetic imagery, city-8_" in said
    assert "what it shows is no place on Earth" in said


def assert_shown(number: str, unit: str, metres: float) -> None:
    """Printed as so many m or km, up to rounding and to the Earth being no sphere."""
    if unit == "km":
        assert float(number) * 1000 == pytest.approx(metres, abs=50 + 0.004 * metres)
    else:
        assert float(number) == pytest.approx(metres, abs=1 + 0.004 * metres)


def test_the_errors_printed_are_the_distances_to_the_truth(
    city: Path, indexes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(city, indexes)) == 0
    said = capsys.readouterr().out
    geolocator = Geolocator.open("demo", indexes_dir=indexes)
    geod = pyproj.Geod(ellps="WGS84")
    off_m, chance_m = [], []
    for sample in read_samples(city):
        answer = geolocator.search(sample.photo, rs_weight=1, location_weight=0)
        best = answer.candidates[0]
        lon, lat = sample.lonlat_deg or (np.nan, np.nan)
        assert best.refined_lonlat_deg is not None  # what the page shows of the same photo
        off_m.append(geod.inv(lon, lat, *best.refined_lonlat_deg)[2])
        cells = geolocator.index.cells.lonlat_deg
        chance_m += [geod.inv(lon, lat, *cell)[2] for cell in cells]
    printed = re.findall(r"([\d.]+) (k?m) from where it was taken", said)
    for shown, metres in zip(printed, off_m[:3], strict=True):
        assert_shown(*shown, metres)
    summary = re.search(
        rf"all {PHOTOS}: median error ([\d.]+) (k?m) \(random cells: ([\d.]+) (k?m)\), (\d) within "
        r"1 km \(random cells: ([\d.]+)\)",
        said,
    )
    assert summary is not None
    assert_shown(summary[1], summary[2], float(np.median(off_m)))
    assert_shown(summary[3], summary[4], float(np.median(chance_m)))
    assert int(summary[5]) == sum(metres <= 1000 for metres in off_m)
    assert float(summary[6]) == pytest.approx(
        PHOTOS * np.mean(np.array(chance_m) <= 1000), abs=0.15
    )


def test_with_calibration_photos_the_index_is_calibrated_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    city = tmp_path / "city"
    write_city(
        City(seed=8, side_m=1800.0),
        city,
        photos=PHOTOS,
        calibration_photos=60,
        dates=1,
        quiet=True,
    )
    assert main(arguments(city, tmp_path)) == 0
    said = capsys.readouterr().out
    assert "no calibration yet: python -m indexer calibrate --index demo" in said
    geolocator = Geolocator.open("demo", indexes_dir=tmp_path)
    assert geolocator.calibration is not None
    held = re.search(r"held the truth of (\d) of 6", said)
    assert held is not None
    rows = geolocator.space.cell_row([sample.lonlat_deg or () for sample in read_samples(city)])
    answers = geolocator.search([sample.photo for sample in read_samples(city)])
    regions = [answer.region(0.9).rows for answer in answers]
    assert int(held[1]) == sum(row in region for row, region in zip(rows, regions, strict=True))
    assert "uncalibrated" not in said
    assert main(arguments(city, tmp_path)) == 0
    assert "no calibration yet" not in capsys.readouterr().out


def test_an_index_of_this_imagery_and_model_is_kept(
    city: Path, indexes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = open_index(indexes / "demo").manifest.build
    assert main(arguments(city, indexes)) == 0
    assert "is of this imagery and this model already" in capsys.readouterr().out
    assert open_index(indexes / "demo").manifest.build == build


def test_another_model_imagery_or_a_damaged_index_is_a_reason_to_build(
    city: Path, indexes: Path, tmp_path: Path
) -> None:
    imagery = city / "imagery"
    model, other = (Gair.untrained("demo", seed=seed) for seed in (0, 1))
    assert why_to_build(indexes, model, imagery, RESOLUTION) == ""
    assert "of another model, untrained-demo" in why_to_build(indexes, other, imagery, RESOLUTION)
    assert "other cells" in why_to_build(indexes, model, imagery, RESOLUTION + 1)
    write_city(City(seed=9, side_m=1600.0), tmp_path / "9", photos=1, dates=1, quiet=True)
    elsewhere = tmp_path / "9" / "imagery"
    assert "other imagery" in why_to_build(indexes, model, elsewhere, RESOLUTION)
    shutil.copytree(indexes, tmp_path / "indexes")
    next((tmp_path / "indexes" / "demo").glob("*/rs.faiss")).write_bytes(b"damaged")
    assert "damaged" in why_to_build(tmp_path / "indexes", model, imagery, RESOLUTION)


def test_an_index_of_another_model_is_built_again(
    city: Path, indexes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(indexes, tmp_path / "indexes")
    assert main(arguments(city, tmp_path / "indexes", "--model", "untrained:demo:1")) == 0
    said = capsys.readouterr().out
    assert len(re.findall("is of another model, untrained-demo, and is built again", said)) == 1
    source = open_index(tmp_path / "indexes" / "demo").manifest.model.source
    assert source == "untrained:demo:1"


def test_a_model_of_synthetic_cities_says_so_wherever_it_is_used(
    city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Gair.untrained("demo")
    model.info = ModelInfo("small (synthetic cities)", "Apache-2.0", trained=True, source="here")
    model.save_pretrained(tmp_path / "model")
    assert main(arguments(city, tmp_path, "--model", str(tmp_path / "model"))) == 0
    sentence = "was trained on synthetic cities and knows nothing of real places"
    assert (
        capsys.readouterr().out.count(f"note: the model small (synthetic cities) {sentence}") == 2
    )
    geolocator = Geolocator.open("demo", indexes_dir=tmp_path)
    head = facts_line_html(geolocator.space) + standing_warnings_html(geolocator.space)
    for fact in (sentence, "small (synthetic cities)", "Licence Apache-2.0", ATTRIBUTION):
        assert fact in head


def test_without_a_city_it_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tmp_path, tmp_path)) == 2
    said = capsys.readouterr().err
    assert "make demo" in said
    assert said.count("\n") == 1
    (tmp_path / "imagery").mkdir()
    (tmp_path / "photos.csv").write_text("file,lat,lon\nhere.jpg,1,2\nthere.jpg,,\n")
    assert main(arguments(tmp_path, tmp_path)) == 2
    assert "does not say where there.jpg was taken" in capsys.readouterr().err


def test_a_taken_port_is_found_before_anything_is_indexed(
    city: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [word for word in arguments(city, tmp_path) if word != "--no-page"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main([*argv, "--port", str(taken.getsockname()[1])]) == 2
    assert "choose another --port" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    ("name", "city", "held_out"), [("seen", SEEN_CITY, True), ("unseen", UNSEEN_CITY, False)]
)
def test_make_draws_the_cities_of_the_training_world(name: str, city: City, held_out: bool) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    flags = re.search(rf"^{name} := (.*)$", makefile, re.MULTILINE)
    assert flags is not None
    arguments = _parser().parse_args(["city", "--out", "x", *flags[1].split()])
    drawn = from_namespace(CityOptions, arguments)
    assert City(drawn.seed, drawn.side_km * 1000) == city
    assert drawn.from_held_out_blocks == held_out
