"""Adding reference photos: what is kept, what is left out, and what a kill leaves."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from packing_samples import exif_at, save_photo
from reference_album import EAST, GOOD, HEADER, NORTH, SOUTH, WEST, write_album, write_manifest
from repository import REPOSITORY
from small_builds import tiny_model
from warm_processes import warm_run

from gair.errors import DatasetError, IndexMismatchError
from gair.files import sha256_of
from gair.model import Gair
from gair.photos.photo import open_photo
from indexer.ground.add import ALREADY, OUTSIDE, REPEATED, WORK, add_photos, near_index
from indexer.ground.listed import link_of, source_of
from indexer.ground.options import AddOptions
from indexer.ground.reference_photos import ReferencePhotos, open_reference_photos
from indexer.index.index import open_index
from indexer.photos.encoder import IndexEncoder
from indexer.photos.listing import ListedPhoto
from indexer.photos.vectors import IMPOSSIBLE_PLACE, NO_PLACE, UNREADABLE

QUIET = AddOptions(quiet=True)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_album(tmp_path_factory.mktemp("album"))


@pytest.fixture
def box(boxes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(boxes / "box", tmp_path / "box"))


def opened(box: Path) -> ReferencePhotos:
    references = open_reference_photos(box)
    assert references is not None
    return references


def test_an_album_with_every_kind_of_trouble(box: Path, album: Path) -> None:
    report = add_photos(box, album, model=tiny_model(), options=QUIET)
    assert (report.listed, report.added, report.encoded) == (12, GOOD, GOOD)
    assert report.left_out == {
        REPEATED: 1,
        OUTSIDE: 1,
        NO_PLACE: 1,
        IMPOSSIBLE_PLACE: 1,
        UNREADABLE: 2,
    }
    named = "\n".join(report.named)
    for words in (
        "far.jpg: not in the index, nor",
        "nowhere.jpg: no coord",
        "pole.jpg: impossible",
    ):
        assert words in named
    assert "text.jpg is not a photo in a known format" in named
    assert "missing.jpg: No such file" in named
    assert report.lines[0] == f"added {GOOD} of 12 photos"
    assert report.lines[-1] == f"  the index has {GOOD} reference photos now"
    references = opened(box)
    details = {p.content_sha256: p for p in references.details(np.arange(GOOD))}
    third = details[sha256_of(album.parent / "3.jpg")]
    assert (third.heading_deg, third.captured_at) == (270.0, "2019-05-04T12:00:00")
    assert (third.taken_on, third.sequence, third.source) == ("2019-05-04", "", "Mapillary")
    assert third.link == "https://www.mapillary.com/app/?pKey=3"
    assert (third.licence, third.private) == ("CC BY-SA 4.0", False)
    assert third.attribution.startswith("Mapillary image by P3")
    assert not (box / WORK).exists()


def test_vectors_are_those_that_a_search_sees(box: Path, album: Path) -> None:
    add_photos(box, album, model=tiny_model(), options=QUIET)
    references = opened(box)
    hashes = [photo.content_sha256 for photo in references.details(np.arange(GOOD))]
    encoder = IndexEncoder(open_index(box), tiny_model())
    for number in range(GOOD):
        path = album.parent / f"{number}.jpg"
        s = encoder.embed([open_photo(path)])
        cosines, rows = references.nearest(s, 1)
        assert hashes[rows[0, 0]] == sha256_of(path)
        assert cosines[0, 0] == pytest.approx(1, abs=1e-3)


def test_adding_again_adds_what_is_new(box: Path, album: Path, tmp_path: Path) -> None:
    first = add_photos(box, album, model=tiny_model(), options=QUIET)
    before = opened(box)
    again = add_photos(box, album, model=tiny_model(), options=QUIET)
    assert (again.added, again.left_out[ALREADY]) == (0, GOOD + 1)
    assert again.manifest == first.manifest
    save_photo(tmp_path / "new.jpg", seed=50)
    more = write_manifest(tmp_path / "more.csv", ["file", "lat", "lon"], [["new.jpg", NORTH, WEST]])
    report = add_photos(box, more, model=tiny_model(), options=QUIET)
    assert (report.added, report.without_licence) == (1, 1)
    assert "name no licence" in "".join(report.lines)
    after = opened(box)
    assert len(after) == len(before) + 1
    assert after.manifest.sources == {"Mapillary": GOOD, "more": 1}
    assert len(before.details(np.arange(GOOD))) == GOOD  # the old set still reads
    kept = np.isin(after.content_sha256, before.content_sha256)
    np.testing.assert_array_equal(
        after.store.halves(np.flatnonzero(kept)), before.store.halves(np.arange(GOOD))
    )


def test_the_same_again_is_the_same_bytes(boxes: Path, album: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        folder = Path(shutil.copytree(boxes / "box", tmp_path / name))
        made.append(add_photos(folder, album, model=tiny_model(), options=QUIET).manifest)
    assert made[0] is not None
    assert made[1] is not None
    assert made[0].files["ground.faiss"] == made[1].files["ground.faiss"]
    assert made[0].content_sha256 == made[1].content_sha256


def test_a_folder_goes_by_its_gps_tags(box: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    save_photo(folder / "a/tagged.jpg", 1, exif=exif_at((WEST, SOUTH), **{"16": "T", "17": 45.0}))
    save_photo(folder / "plain.jpg", 2)
    options = AddOptions(licence="© us", attribution="Us", private=True, quiet=True)
    report = add_photos(box, folder, model=tiny_model(), options=options)
    assert (report.added, report.left_out) == (1, {NO_PLACE: 1})
    (photo,) = opened(box).details([0])
    assert photo.lonlat_deg == pytest.approx((WEST, SOUTH), abs=1e-6)
    assert (photo.source, photo.licence, photo.attribution) == ("archive", "© us", "Us")
    assert (photo.private, photo.heading_deg) == (True, 45.0)
    assert opened(box).public_rows().tolist() == []


def test_where_a_photo_can_be_looked_at_and_whose_it_is() -> None:
    def listed(**fields: object) -> ListedPhoto:
        return ListedPhoto("a", Path("a"), "a", None, **fields)  # type: ignore[arg-type]

    page = "https://www.flickr.com/photos/1"
    assert link_of(listed(link=page, source="https://other.example/2")) == page
    assert link_of(listed(source=page)) == page
    assert link_of(listed(source="Flickr", extra={"url": page})) == page
    assert link_of(listed(attribution=f"By A, CC0, {page}, and B")) == page
    assert link_of(listed(source="Flickr")) == ""
    assert source_of(listed(source=page), "list") == "flickr.com"
    assert source_of(listed(source="Flickr"), "list") == "Flickr"
    assert source_of(listed(), "list") == "list"


def test_near_means_in_a_cell_or_500_m_from_a_centre(box: Path) -> None:
    index = open_index(box)
    far, near = 0.0070, 0.0030  # 780 and 330 m of latitude
    places = np.array([(WEST, NORTH + far), (WEST, NORTH + near), (EAST, SOUTH), (np.nan, 0)])
    assert near_index(index, places).tolist() == [False, True, True, False]


def test_another_model_is_refused(box: Path, album: Path) -> None:
    with pytest.raises(IndexMismatchError, match="was built by model untrained-tiny"):
        add_photos(box, album, model=Gair.untrained("tiny", seed=1), options=QUIET)


def test_nothing_to_add_changes_nothing(box: Path, tmp_path: Path) -> None:
    lonely = write_manifest(tmp_path / "x.csv", ["file", "lat", "lon"], [["no.jpg", NORTH, WEST]])
    report = add_photos(box, lonely, model=tiny_model(), options=QUIET)
    assert (report.added, report.manifest) == (0, None)
    assert open_reference_photos(box) is None
    with pytest.raises(DatasetError, match="no photos at"):
        add_photos(box, tmp_path / "none.csv", model=tiny_model(), options=QUIET)


KILLED = """
import os, signal
from gair.encoders.street_view import import_timm
from indexer.commands.cli import main
from indexer.ground import add, write
from indexer.index import storage
from indexer.photos import vectors

import_timm()

def killing(name, where):
    inner = getattr(where, name)
    def call(*args, **kwargs):
        inner(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(where, name, call)

for name, where in (
    ("write", vectors.VectorCache),  # 64 are encoded
    ("write_photo_table", write),  # all are, and the set is half there
    ("write_whole", storage),  # it is whole, and the pointer does not name it
):
    if not (child := os.fork()):
        killing(name, where)
        main({argv!r})
        os._exit(9)
    status = -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, os.path.exists({pointer!r}), flush=True)
"""


@pytest.mark.process
def test_a_kill_at_any_moment_costs_at_most_a_block(boxes: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    places = rng.uniform((WEST, SOUTH), (EAST, NORTH), (70, 2))
    rows = [[f"{n}.jpg", lat, lon] for n, (lon, lat) in enumerate(places)]
    for n in range(70):
        save_photo(tmp_path / f"{n}.jpg", seed=n)
    photos = write_manifest(tmp_path / "photos.csv", ["file", "lat", "lon"], rows)
    folders = [Path(shutil.copytree(boxes / "box", tmp_path / name)) for name in ("all", "killed")]
    straight = add_photos(folders[0], photos, model=tiny_model(), options=QUIET).manifest
    argv = ["add-photos", str(folders[1]), "--photos", str(photos), "--quiet"]
    # Forked from one process, which has imported what takes long.
    code = KILLED.format(argv=argv, pointer=str(folders[1] / "GROUND"))
    done = warm_run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
    assert done.stdout.split() == [b"9", b"False"] * 3, done.stderr
    assert open_reference_photos(folders[1]) is None
    report = add_photos(folders[1], photos, model=tiny_model(), options=QUIET)
    assert (report.added, report.encoded) == (70, 0)
    assert straight is not None
    assert report.manifest is not None
    assert report.manifest.files["ground.faiss"] == straight.files["ground.faiss"]
    assert report.manifest.content_sha256 == straight.content_sha256
    assert sorted(p.name for p in folders[1].glob(".ground*")) == [".ground.lock"]


@pytest.mark.shared
def test_the_real_photos(boxes: Path, shared_dir: Path, tmp_path: Path) -> None:
    """They are of all the world, and the box is in London: told to lie there, each is added."""
    folder = shared_dir / "data" / "photos"
    box = Path(shutil.copytree(boxes / "box", tmp_path / "box"))
    report = add_photos(box, folder, model=tiny_model(), options=QUIET)
    assert report.added == 0
    assert report.left_out[OUTSIDE] > 0
    assert report.left_out.total() == report.listed
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    rows = [[str(path), SOUTH + n * 1e-5, WEST] for n, path in enumerate(files)]
    photos = write_manifest(tmp_path / "moved.csv", HEADER[:3], rows)
    report = add_photos(box, photos, model=tiny_model(), options=QUIET)
    assert report.added == len(files) - report.left_out.total()
    assert report.added > 0.9 * len(files)
    assert set(report.left_out) <= {REPEATED, UNREADABLE}
