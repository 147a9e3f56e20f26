"""The demo up to the page: a synthetic city becomes an index, and its photos get answers."""

from __future__ import annotations

import math
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
from training.synthetic.cli import build_parser
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


def assert_shown(number: str, unit: str, metres: float, counted_by_m: float = 0) -> None:
    """Printed as so many m or km, up to rounding and to the Earth being no sphere."""
    if unit == "km":
        assert float(number) * 1000 == pytest.approx(
            metres, abs=50 + counted_by_m / 2 + 0.004 * metres
        )
    else:
        assert float(number) == pytest.approx(metres, abs=1 + counted_by_m / 2 + 0.004 * metres)


def test_the_rates_and_errors_printed_are_those_of_what_a_search_shows(
    city: Path, indexes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(city, indexes)) == 0
    said = capsys.readouterr().out
    geolocator = Geolocator.open("demo", indexes_dir=indexes)
    cells = geolocator.index.cells.lonlat_deg
    geod = pyproj.Geod(ellps="WGS84")
    off_m, nearest_m, chance_m = [], [], []
    for sample in read_samples(city):
        lon, lat = sample.lonlat_deg or (np.nan, np.nan)
        places = [
            place.refined_lonlat_deg or (place.lon_deg, place.lat_deg)
            for place in geolocator.search(sample.photo, k=10).candidates
        ]  # what the page shows of the same photo
        away_m = [geod.inv(lon, lat, *place)[2] for place in places]
        off_m.append(away_m[0])
        nearest_m.append(min(away_m))
        chance_m.append([geod.inv(lon, lat, *cell)[2] for cell in cells])
    examples = re.findall(r"([\d.]+) (k?m) from where it was taken", said)
    assert len(examples) == 3
    for shown, metres in zip(examples, off_m, strict=False):
        assert_shown(*shown, metres)
    assert f"of {PHOTOS} photos, among {len(cells)} cells:" in said
    # Cells of this size are judged from 500 m on.
    for near, radius_m in (("500 m", 500), ("1 km", 1000)):
        rates = re.findall(
            rf"within {near} +([\d.]+) % \(95 % interval [^)]*\), by chance >?([\d.]+) %", said
        )
        for (rate, blind), distances_m, picks in zip(
            rates, (off_m, nearest_m), (1, 10), strict=True
        ):
            right = np.mean(np.array(distances_m) <= radius_m)
            assert float(rate) == pytest.approx(100 * right, abs=0.06)
            hits = (np.array(chance_m) <= radius_m).sum(axis=1)
            missed = [math.comb(len(cells) - m, picks) / math.comb(len(cells), picks) for m in hits]
            assert float(blind) == pytest.approx(100 * (1 - np.mean(missed)), abs=1.5)
    summary = re.search(
        r"error of the best guess ([\d.]+) (k?m), of a random cell ([\d.]+) (k?m)", said
    )
    assert summary is not None
    # Of an even number of photos the median is the lower of the two in the middle.
    assert_shown(summary[1], summary[2], sorted(off_m)[(PHOTOS - 1) // 2])
    assert_shown(summary[3], summary[4], float(np.median(chance_m)), counted_by_m=10)


def test_a_manifest_with_further_columns_is_read_as_before(
    city: Path, indexes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(city, indexes)) == 0
    before = capsys.readouterr().out
    wider = tmp_path / city.name
    shutil.copytree(city, wider)
    head, *rows = (wider / "photos.csv").read_text().splitlines()
    lines = [f"condition,{head},season,sky", *(f"night,{row},winter,fog" for row in rows)]
    (wider / "photos.csv").write_text("\n".join(lines))
    assert main(arguments(wider, indexes)) == 0
    assert capsys.readouterr().out.replace(str(wider), str(city)) == before


def test_the_page_offers_the_first_photos_and_says_how_often_answers_are_right(
    city: Path, indexes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[list[str]] = []
    monkeypatch.setattr("app.cli.main", lambda argv: served.append(argv) or 0)
    argv = [word for word in arguments(city, indexes) if word != "--no-page"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main([*argv, "--port", str(port)]) == 0
    said = capsys.readouterr().out
    ((*_, folder, flag, note, _),) = served
    assert (folder, flag) == (str(city), "--examples-note")
    assert note.startswith(f"None was picked for its answer. Of all {PHOTOS}, the best guess is")
    rate, blind = re.findall(r"within 500 m +([\d.]+ %) .*by chance ([\d.]+ %)", said)[0]
    assert f"taken for {rate} (" in note
    assert f"; by chance {blind})" in note


def test_a_photo_that_cannot_be_read_counts_as_wrong(
    city: Path, indexes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(city, tmp_path / "city")
    (tmp_path / "city" / "photos" / "city-8-0001.jpg").write_bytes(b"broken")
    assert main(arguments(tmp_path / "city", indexes)) == 0
    said = capsys.readouterr().out
    assert "  1 count as wrong: photo cannot be read\n" in said
    broken = tmp_path / "city" / "photos" / "city-8-0001.jpg"
    assert f"  city-8-0001.jpg: not answered: {broken} is not a photo in a known format" in said
    assert f"of {PHOTOS} photos" in said


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


def test_reference_photos_are_added_once_and_told_with_and_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    city = tmp_path / "city"
    write_city(
        City(seed=8, side_m=1800.0), city, photos=PHOTOS, reference_photos=40, dates=1, quiet=True
    )
    assert main(arguments(city, tmp_path)) == 0
    said = capsys.readouterr().out
    assert "no reference photos yet: python -m indexer add-photos demo" in said
    assert "added 40 of 40 photos" in said
    geolocator = Geolocator.open("demo", indexes_dir=tmp_path)
    assert geolocator.space.ground is not None
    told = re.search(r"without its 40 reference photos: best guess within 500 m ([\d.]+) %", said)
    assert told is not None
    geod = pyproj.Geod(ellps="WGS84")
    right = 0
    for sample in read_samples(city):
        place = geolocator.search(sample.photo, k=1, ground_weight=0).candidates[0]
        away_m = geod.inv(*(sample.lonlat_deg or ()), *place.shown_lonlat_deg)[2]
        right += away_m <= 500
    assert float(told[1]) == pytest.approx(100 * right / PHOTOS, abs=0.06)
    assert main(arguments(city, tmp_path)) == 0
    assert "no reference photos yet" not in capsys.readouterr().out
    assert main(arguments(city, tmp_path, "--resolution", "8")) == 0  # another build
    said = capsys.readouterr().out
    assert "removed 40 reference photos; 0 are left" in said
    assert re.search(r"added \d+ of 40 photos", said)  # some lie beyond the larger cells


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
    ("name", "city", "held_out"),
    [
        ("seen", SEEN_CITY, True),
        ("unseen", UNSEEN_CITY, False),
        ("town", City(UNSEEN_CITY.seed, 5000.0), False),  # of a seed that no training draws
    ],
)
def test_make_draws_the_cities_of_the_training_world(name: str, city: City, held_out: bool) -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    flags = re.search(rf"^{name} := (.*)$", makefile, re.MULTILINE)
    assert flags is not None
    arguments = build_parser().parse_args(["city", "--out", "x", *flags[1].split()])
    drawn = from_namespace(CityOptions, arguments)
    assert City(drawn.seed, drawn.side_km * 1000) == city
    assert drawn.from_held_out_blocks == held_out
