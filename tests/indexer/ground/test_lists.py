"""Lists of large sets of reference photos: quick, nearly complete, and exact in what they find."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from list_builds import clustered
from reference_samples import give_references, reference_photos
from small_builds import BOX_WSEN_DEG

from gair.arrays import Floats32, Ints
from gair.errors import IndexCorruptError, UsageError
from indexer.ground.lists import (
    FLAT_UP_TO,
    in_more_lists,
    make_reference_lists,
    nearest_rows,
    reference_index_type,
)
from indexer.ground.reference_photos import ReferencePhotos, open_reference_photos
from indexer.ground.remove import remove_photos
from indexer.index.ivf import InvertedLists
from indexer.index.vectors import FaissStore, FlatWriter

COUNT, DIM = 6000, 24


@pytest.fixture(scope="module")
def listed(boxes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A box with so many photos, every one with lists. Copy it before changing anything."""
    box = Path(shutil.copytree(boxes / "box", tmp_path_factory.mktemp("listed") / "box"))
    west, south, east, north = BOX_WSEN_DEG
    places = np.random.default_rng(1).uniform((west, south), (east, north), (COUNT, 2))
    sources = ["odd" if n % 2 else "even" for n in range(COUNT)]
    photos = reference_photos(places, source=sources, sequence=["one walk"] * COUNT)
    give_references(box, photos, clustered(COUNT, DIM), index_type="ivf-sq8")
    return box


def opened(box: Path) -> ReferencePhotos:
    references = open_reference_photos(box)
    assert references is not None
    return references


@pytest.mark.parametrize(
    ("photos", "wanted", "kind"),
    [
        (FLAT_UP_TO, "auto", "flat"),
        (FLAT_UP_TO + 1, "auto", "ivf-sq8"),
        (60_000_000, "auto", "ivf-pq"),
        (10_000_000, "flat", "flat"),
        (10, "ivf-pq", "ivf-pq"),
    ],
)
def test_the_type_goes_by_the_size(photos: int, wanted: str, kind: str) -> None:
    assert reference_index_type(photos, wanted) == kind


def test_there_is_no_other_type() -> None:
    with pytest.raises(UsageError, match="`index_type` 'hnsw': choose one of auto, flat"):
        reference_index_type(10, "hnsw")


def test_the_nearest_are_found_and_scored_exactly(listed: Path) -> None:
    references = opened(listed)
    search = references.manifest.search
    assert (search["type"], search["wanted"]) == ("ivf-sq8", "ivf-sq8")
    assert search["recall"] >= 0.95
    assert search["probes"] <= search["lists"] / 2
    queries = clustered(20, DIM, seed=7)
    cosines, rows = references.nearest(queries, 50)
    exact = queries @ references.vectors(np.arange(COUNT)).T
    np.testing.assert_allclose(cosines, np.take_along_axis(exact, rows, axis=1), atol=1e-6)
    assert (np.diff(cosines, axis=1) <= 0).all()
    best = np.argsort(-exact, axis=1)[:, :50]
    hits = [np.isin(true, own).mean() for true, own in zip(best, rows, strict=True)]
    assert np.mean(hits) > 0.9
    assert all(len(set(own)) == 50 for own in rows.tolist())


class Watched(FaissStore):
    """A store that remembers the most rows that were read of it at once."""

    most = 0

    def vectors(self, rows: Ints) -> Floats32:
        self.most = max(self.most, len(rows))
        return super().vectors(rows)


@pytest.mark.parametrize("count", [300, 1900])
def test_more_than_the_lists_hold_is_looked_for_in_more_lists(listed: Path, count: int) -> None:
    references = opened(listed)
    lists = InvertedLists(references.path / "ground.ann.faiss", 1)
    store = Watched(references.path / "ground.faiss")
    query = clustered(1, DIM, seed=3)
    assert (lists.shortlist(query, count) < 0).any()  # one list is shorter than that
    cosines, rows = nearest_rows(store, lists, COUNT, query, count)
    assert len(set(rows[0].tolist())) == count
    assert store.most <= 3 * count < COUNT  # not all of them were scored
    exact = (query @ references.vectors(np.arange(COUNT)).T)[0]
    np.testing.assert_allclose(cosines[0], exact[rows[0]], atol=1e-6)
    assert np.isin(np.argsort(-exact)[:30], rows[0]).mean() > 0.9  # a cluster has about 30


def test_short_lists_are_made_up_for(listed: Path) -> None:
    references = opened(listed)
    lists = InvertedLists(references.path / "ground.ann.faiss", 1)
    query = clustered(1, DIM, seed=3)
    for count in (1, 500, 1900):
        likely = in_more_lists(lists, COUNT, query[0], count, 1)
        assert len(likely) >= count
        assert (np.diff(likely) > 0).all()
    assert len(likely) < COUNT


@pytest.mark.parametrize("count", [0, 1, 12, 60])
def test_what_is_known_of_photos_comes_in_their_order(listed: Path, count: int) -> None:
    references = opened(listed)
    rows = np.random.default_rng(4).integers(0, COUNT, count)  # one may come twice
    told = [photo.content_sha256 for photo in references.details(rows)]
    assert told == [text.decode() for text in references.content_sha256[rows]]


def test_removing_photos_keeps_the_type(listed: Path, tmp_path: Path) -> None:
    box = Path(shutil.copytree(listed, tmp_path / "box"))
    remove_photos(box, source="odd", quiet=True)
    references = opened(box)
    assert len(references) == COUNT / 2
    assert references.manifest.search["type"] == "ivf-sq8"
    assert references.lists is not None
    assert references.lists.count == COUNT / 2


def test_a_changed_byte_of_the_lists_is_found(listed: Path, tmp_path: Path) -> None:
    box = Path(shutil.copytree(listed, tmp_path / "box"))
    (file,) = box.glob("ground-*/ground.ann.faiss")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"ground\.ann\.faiss differs from what was"):
        open_reference_photos(box)


def test_vectors_without_any_order_are_all_scored(tmp_path: Path) -> None:
    s = np.random.default_rng(0).normal(size=(3000, 48)).astype(np.float32)
    with FlatWriter(tmp_path / "ground.faiss", 48) as writer:
        writer.append(s / np.linalg.norm(s, axis=1, keepdims=True))
    search = make_reference_lists(tmp_path, "ivf-sq8", quiet=True)
    assert search["type"] == "flat"
    assert "nearest photos, less than 95%, so every photo is scored" in search["note"]
    assert not (tmp_path / "ground.ann.faiss").exists()
