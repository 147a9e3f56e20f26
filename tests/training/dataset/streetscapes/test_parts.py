"""The parts of a build one by one: what is a good photo, what is kept, what it will take."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from dataset_commands import REFUSALS, refusal
from packing_samples import save_photo
from PIL import Image, ImageFilter
from street_samples import listed_photos, write_tables
from street_servers import TOKEN, street_photo, street_server
from toy_city import write_city

from gair.errors import DatasetError, StorageError, UsageError
from gair.geo import Footprint
from gair.progress import Progress
from training.dataset.cli import main
from training.dataset.pack.dated_imagery import DatedImagery, FewDays
from training.dataset.pack.options import ImageryOptions
from training.dataset.streetscapes.build import near_duplicates
from training.dataset.streetscapes.card import draw_map
from training.dataset.streetscapes.estimate import PHOTO_BYTES, estimate
from training.dataset.streetscapes.fetch import difference_hash, sharpness
from training.dataset.streetscapes.journal import (
    Effort,
    Journal,
    Outcome,
    keep_photo,
    measured_effort,
)
from training.dataset.streetscapes.options import (
    FetchOptions,
    Lists,
    SelectionOptions,
    StreetscapesOptions,
)
from training.dataset.streetscapes.providers import TOKEN_VARIABLE

Capture = pytest.CaptureFixture[str]
LEAST_SHARPNESS = FetchOptions().least_sharpness


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


@pytest.mark.shared
def test_sharp_photos_are_sharp_and_blurred_ones_are_not(shared_dir: Path) -> None:
    photos = sorted((shared_dir / "data/photos").glob("*.jpg"))[:12]
    for path in photos:
        rgb = Image.open(path).convert("RGB")
        blurred = rgb.filter(ImageFilter.GaussianBlur(2 * max(rgb.size) / 512))
        assert sharpness(blurred) < LEAST_SHARPNESS / 2 < 3 * LEAST_SHARPNESS < sharpness(rgb)
    assert len(photos) == 12


def test_sharpness_does_not_depend_on_size() -> None:
    large = opened(street_photo(3, (1000, 640)))
    small = large.resize((500, 320), Image.Resampling.LANCZOS)
    assert sharpness(small) == pytest.approx(sharpness(large), rel=0.4)
    assert sharpness(Image.new("RGB", (300, 200), (90, 90, 90))) == 0


def test_photos_that_look_alike() -> None:
    one = opened(street_photo(1))
    brighter = one.point(lambda value: min(255, value + 12))
    other = opened(street_photo(2))
    looks = [difference_hash(photo) for photo in (one, brighter, other)]
    here, beside, far = (9.0, 48.0), (9.0003, 48.0), (9.01, 48.0)
    assert near_duplicates(np.array([here, beside, here]), looks) == {1}
    assert near_duplicates(np.array([here, far, here]), looks) == set()
    # A third one of the same is dropped too, although it is nearest to one that was dropped.
    third = np.array([here, beside, (9.0009, 48.0)])
    assert near_duplicates(third, [looks[0], looks[1], looks[0]]) == {1}
    assert near_duplicates(np.zeros((0, 2)), []) == set()


def test_what_the_journal_keeps(tmp_path: Path) -> None:
    good = Outcome("", size_bytes=4, heading_deg=1.5, attribution="me", look=2**64 - 1)
    with Journal(tmp_path) as journal:
        keep_photo(tmp_path, "a", b"jpeg")
        journal.settle("a", good)
        journal.settle("b", Outcome("gone"))
        journal.settle("c", dataclasses.replace(good, size_bytes=5))  # its file is not there
        journal.add_effort(Effort(2, 5, 700, 1.5))
        journal.add_effort(Effort(1, 2, 300, 0.5))
    with Journal(tmp_path) as journal:
        assert journal.outcomes() == {"a": good, "b": Outcome("gone")}
        assert journal.effort() == Effort(3, 7, 1000, 2.0)
    (file,) = tmp_path.glob("photos/*/a.jpg")
    file.write_bytes(b"jp")
    with Journal(tmp_path) as journal:
        assert set(journal.outcomes()) == {"b"}
    assert measured_effort(tmp_path) == Effort(3, 7, 1000, 2.0)
    assert measured_effort(tmp_path / "none") is None


def test_one_build_at_a_time(tmp_path: Path) -> None:
    with (
        Journal(tmp_path),
        pytest.raises(DatasetError, match="another build works in"),
        Journal(tmp_path),
    ):
        pass


def test_a_journal_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(DatasetError, match=r"is damaged .*: remove .* and begin again"):
        Journal(tmp_path).__enter__()


@pytest.mark.parametrize("row", ["{", "[]", '{"reason": "gone", "colour": 1}'])
def test_a_journal_of_another_version(tmp_path: Path, row: str) -> None:
    with Journal(tmp_path) as journal:
        journal._database.execute("INSERT INTO outcomes VALUES ('a', ?)", (row,))
        with pytest.raises(DatasetError, match=r"says of a what is not understood .*: remove"):
            journal.outcomes()


def test_a_journal_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*journal\.sqlite: unable to open"):
        Journal(tmp_path).__enter__()


def test_few_days_are_far_apart(tmp_path: Path) -> None:
    for day in ("20230101", "20230201", "20230301", "20230401", "20230501"):
        write_city(tmp_path / f"s_{day}T101010.tif", side_px=40)
    with DatedImagery([tmp_path], ImageryOptions()) as imagery:
        square = Footprint("EPSG:32630", (699_100, 5_711_700, 699_300, 5_711_900))
        assert FewDays(imagery, 9).days_over(square) == imagery.days_over(square)
        assert len(imagery.days_over(square)) == 5
        assert FewDays(imagery, 1).days_over(square) == ["2023-03-01"]
        assert FewDays(imagery, 2).days_over(square) == ["2023-01-01", "2023-05-01"]
        assert FewDays(imagery, 3).days_over(square) == ["2023-01-01", "2023-03-01", "2023-05-01"]
        few = FewDays(imagery, 2)
        assert few.coverage.equals(imagery.coverage)
        assert (few.read("2023-02-01", square).dn == imagery.read("2023-02-01", square).dn).all()
        with pytest.raises(UsageError, match="`dates_per_footprint` 0"):
            FewDays(imagery, 0)


def test_the_map_of_the_same_photos_is_the_same() -> None:
    rng = np.random.default_rng(0)
    photos = pa.table(
        {
            "lon_deg": rng.uniform(-180, 180, 50),
            "lat_deg": rng.uniform(-80, 80, 50),
            "place": [f"city {number % 9}" for number in range(50)],
            "split": ["train", "val"] * 25,
        }
    )
    first = draw_map(photos)
    assert first == draw_map(photos)
    picture = np.asarray(opened(first))
    assert (picture == (66, 105, 208)).all(axis=2).sum() > 9  # dots of train
    assert draw_map(photos.slice(1)) != first


def test_what_a_build_will_take(tmp_path: Path, capsys: Capture) -> None:
    tables = write_tables(tmp_path / "tables", listed_photos(40))
    options = StreetscapesOptions(
        lists=Lists(tables=(tables,), mapillary_areas=("Hamlet=-0.14,51.49,-0.09,51.52",)),
        out=tmp_path / "out",
        selection=SelectionOptions(per_cell=1),
        fetch=FetchOptions(concurrency=8),
    )
    stated = estimate(options)
    assert stated.selection.candidates == 40
    assert 10 < stated.photos < 40
    assert stated.tiles == 9
    assert 60 < stated.listed < 130  # an H3 cell of resolution 9 has 0.1 km2, the area 11.6
    assert stated.requests == 9 + 2 * (stated.photos + stated.listed)
    assert stated.photos_a_s == 8
    with Journal(options.work) as journal:
        journal.add_effort(Effort(100, 250, 7_000_000, 20.0))
        busy = estimate(options)  # a build is at work: nobody waits, and nothing is stopped
        assert busy.photos_a_s == 8
    measured = estimate(options)
    assert measured.photos_a_s == 5
    assert measured.requests > stated.requests
    assert measured.bytes_in < stated.bytes_in
    assert abs(stated.bytes_in - 9 * 200_000 - PHOTO_BYTES * (stated.photos + stated.listed)) < 1
    assert "(measured in this build so far)" in "\n".join(measured.lines)


@pytest.mark.process
def test_a_dry_run_asks_nobody(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    tables = write_tables(tmp_path / "tables", listed_photos(20))
    with street_server() as server:
        argv = ["streetscapes", "--tables", str(tables), "--out", str(tmp_path / "out")]
        assert main([*argv, *server.flags(), "--dry-run", "--mapillary-area", "london"]) == 0
        assert not server.asked
    text = capsys.readouterr().out
    assert "photos: 20 in the tables, 20 chosen; areas add at most 5,000 (" in text
    assert "(stated, not measured) and 16 at once" in text
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.unfinished").exists()


OF_STREETSCAPES = [
    (["--per-cell", "0"], 2, "--per-cell is 0: it must be 1 or more"),
    (["--concurrency", "0"], 2, "--concurrency is 0: it must be from 1 to 256"),
    (["--sources", "google"], 2, "unknown source 'google': there are mapillary, kartaview"),
    (["--dates-per-footprint", "0"], 2, "--dates-per-footprint 0 is below 1"),
    (["--imagery", "stac"], 2, "--imagery stac needs to know which dates: pass, for example"),
    (["--city", "Atlantis"], 2, "no usable photo is of a city 'Atlantis'"),
    (["--mapillary-area", "x"], 1, "unknown region 'x'"),
    (["--osv5m", "nowhere.csv"], 1, "cannot read nowhere.csv"),
    (["--osv5m", "photos.txt"], 2, "photos.txt is neither a .csv nor a .parquet table"),
]


@pytest.mark.parametrize(
    ("flags", "status", "words"), [*REFUSALS, *OF_STREETSCAPES], ids=lambda v: str(v)[:40]
)
def test_commands_that_cannot_work(
    city_tif: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    status: int,
    words: str,
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    tables = write_tables(tmp_path / "tables", listed_photos(3))
    argv = ["streetscapes", "--tables", str(tables), "--imagery", str(city_tif)]
    argv += ["--out", str(tmp_path / "out"), "--quiet", *flags]
    assert words in refusal(argv, capsys, status)
    assert not (tmp_path / "out").exists()


def test_imagery_is_needed(tmp_path: Path, capsys: Capture) -> None:
    tables = write_tables(tmp_path / "tables", listed_photos(3))
    argv = ["streetscapes", "--tables", str(tables), "--out", str(tmp_path / "out")]
    assert "no imagery: pass Sentinel-2 files or folders with --imagery" in refusal(argv, capsys, 2)


def test_lists_are_needed(tmp_path: Path, capsys: Capture) -> None:
    argv = ["streetscapes", "--out", str(tmp_path / "out")]
    assert "nothing says which photos there are: pass --tables" in refusal(argv, capsys, 2)


def test_progress_does_not_count_what_was_done_before(capsys: Capture) -> None:
    with Progress("fetching", 100, "photo") as progress:
        progress.started -= 10
        progress.skip(60)
        progress.advance(20, "1.5 MB")
        assert progress.rate == pytest.approx(2, rel=0.05)
        progress._last_line -= 60
        progress.advance(0)
    line = capsys.readouterr().err
    assert line == "fetching: 80 of 100 photos, 1.5 MB, 2 photos/s, 10 s left\n"


def test_a_photo_that_was_saved_by_the_samples_is_sharp_enough(tmp_path: Path) -> None:
    """The tests above stand on it."""
    assert sharpness(opened(street_photo(0))) > 3 * LEAST_SHARPNESS
    path = save_photo(tmp_path / "a.jpg", size=(500, 320))
    assert sharpness(opened(path.read_bytes())) < LEAST_SHARPNESS
