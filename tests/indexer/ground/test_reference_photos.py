"""Reference photos beside an index: what is written is what is opened, and damage is named."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from reference_samples import give_references, reference_photos
from small_builds import BOX_WSEN_DEG, rewrite_manifest

from gair.errors import IndexCorruptError, IndexMismatchError, StorageError, UsageError
from indexer.ground.manifest import ReferenceManifest
from indexer.ground.photo_table import ReferencePhoto
from indexer.ground.reference_photos import ReferencePhotos, open_reference_photos
from indexer.ground.write import HIDDEN, changing
from indexer.index.index import open_index

COUNT = 40


def places(count: int = COUNT) -> np.ndarray:
    west, south, east, north = BOX_WSEN_DEG
    return np.random.default_rng(1).uniform((west, south), (east, north), (count, 2))


def unit(count: int = COUNT, dim: int = 64, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def dated(count: int = COUNT) -> list[ReferencePhoto]:
    """Of two sequences, some years, and some things that nothing says."""
    return reference_photos(
        places(count),
        heading_deg=[None if n % 4 == 0 else float(n) for n in range(count)],
        captured_at=["" if n % 5 == 0 else f"20{10 + n % 9}-05-06T10:00:00" for n in range(count)],
        sequence=[f"drive {n % 2}" for n in range(count)],
        source=["Mapillary" if n % 2 else "archive" for n in range(count)],
        link=[f"https://photos.example/{n}" for n in range(count)],
        licence=["CC BY-SA 4.0" if n % 2 else "" for n in range(count)],
        attribution=[f"© ünïcode {n}" for n in range(count)],
        private=[n % 2 == 0 for n in range(count)],
    )


@pytest.fixture
def box(boxes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(boxes / "box", tmp_path / "box"))


@pytest.fixture
def dim(box: Path) -> int:
    return open_index(box).rs.dim


def opened(box: Path) -> ReferencePhotos:
    references = open_reference_photos(box)
    assert references is not None
    return references


def test_an_index_without_any(box: Path) -> None:
    assert open_reference_photos(box) is None


def test_what_is_written_is_what_is_opened(box: Path, dim: int) -> None:
    photos, s = dated(), unit(dim=dim)
    manifest = give_references(box, photos, s)
    references = opened(box)
    assert len(references) == COUNT
    details = references.details(np.arange(COUNT))
    assert sorted(details, key=lambda p: p.link) == sorted(photos, key=lambda p: p.link)
    assert [(p.cell, p.content_sha256) for p in details] == sorted(
        (p.cell, p.content_sha256) for p in photos
    )
    number = {photo.content_sha256: n for n, photo in enumerate(photos)}
    rows = [number[photo.content_sha256] for photo in details]
    np.testing.assert_array_equal(references.vectors(np.arange(COUNT)), s[rows].astype(np.float16))
    assert references.content_sha256[3] == details[3].content_sha256.encode()
    for row, photo in enumerate(details):
        np.testing.assert_allclose(references.lonlat_deg[row], photo.lonlat_deg)
        day = photo.taken_on
        assert np.isnat(references.taken_on[row]) if day is None else True
        assert day is None or references.taken_on[row] == np.datetime64(day)
        heading = references.heading_deg[row]
        assert np.isnan(heading) if photo.heading_deg is None else heading == photo.heading_deg
    sequence = np.array([photo.sequence for photo in details])
    same = references.place_ids[:, None] == references.place_ids
    np.testing.assert_array_equal(same, sequence[:, None] == sequence)
    assert manifest == references.manifest
    assert manifest.licences == {"CC BY-SA 4.0": 20, "unknown": 20}
    assert manifest.sources == {"Mapillary": 20, "archive": 20}
    assert manifest.dates == {"first": "2010-05-06", "last": "2018-05-06", "unknown": 8}
    assert (manifest.photos, manifest.places, manifest.private) == (COUNT, 2, 20)
    assert manifest.with_heading == 30


@pytest.mark.parametrize("most", [COUNT, COUNT - 1])
def test_details_come_in_the_order_of_the_rows(
    box: Path, dim: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a set whose rows stay in memory, and of one that is read for every question."""
    monkeypatch.setattr("indexer.ground.reference_photos.KEPT_PHOTOS", most)
    photos = dated()
    give_references(box, photos, unit(dim=dim))
    references = opened(box)
    every = references.details(np.arange(COUNT))
    assert {photo.content_sha256 for photo in every} == {p.content_sha256 for p in photos}
    assert ("_rows" in vars(references)) == (most == COUNT)
    assert references.details([7, 2, 7]) == [every[7], every[2], every[7]]
    assert references.details([]) == []


def test_the_nearest_are_the_best_of_all(box: Path, dim: int) -> None:
    give_references(box, dated(), unit(dim=dim))
    references = opened(box)
    queries = unit(5, dim, seed=1)
    cosines, rows = references.nearest(queries, 6)
    exact = queries @ references.vectors(np.arange(COUNT)).T
    best = np.argsort(-exact, axis=1, kind="stable")[:, :6]
    np.testing.assert_array_equal(rows, best)
    np.testing.assert_allclose(cosines, np.take_along_axis(exact, best, axis=1), atol=1e-6)
    cosines, rows = references.nearest(queries[0], COUNT + 5)
    assert cosines.shape == rows.shape == (1, COUNT)


def test_the_order_of_adding_does_not_matter(box: Path, dim: int) -> None:
    photos, s = dated(), unit(dim=dim)
    order = np.random.default_rng(2).permutation(COUNT)
    first = give_references(box, photos, s)
    second = give_references(box, [photos[n] for n in order], s[order])
    assert first.name != second.name
    assert first.files["ground.faiss"] == second.files["ground.faiss"]
    assert first.content_sha256 == second.content_sha256
    photos[0] = dataclasses.replace(photos[0], licence="CC0")
    assert give_references(box, photos, s).content_sha256 != first.content_sha256


@pytest.mark.parametrize("file", ["ground.faiss", "ground.duckdb", "ground.json"])
def test_a_changed_byte_is_found(box: Path, dim: int, file: str) -> None:
    manifest = give_references(box, dated(), unit(dim=dim))
    path = box / manifest.name / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IndexCorruptError, match=f"{file}.*add the photos again"):
        open_reference_photos(box)
    path.unlink()
    with pytest.raises(IndexCorruptError, match=f"cannot read .*{file}"):
        open_reference_photos(box)


def test_a_damaged_pointer_is_named(box: Path, dim: int) -> None:
    give_references(box, dated(), unit(dim=dim))
    (box / "GROUND").write_text("{")
    with pytest.raises(IndexCorruptError, match="GROUND is damaged: delete it and add the photos"):
        open_reference_photos(box)


def test_photos_of_another_model_are_refused(box: Path, dim: int) -> None:
    give_references(box, dated(), unit(dim=dim))
    model = dataclasses.asdict(open_index(box).manifest.model)
    rewrite_manifest(box, model=model | {"fingerprint": "0" * 64})
    with pytest.raises(IndexMismatchError, match="remove-photos --all"):
        open_reference_photos(box)


def test_a_newer_format_is_refused(box: Path, dim: int) -> None:
    manifest = give_references(box, dated(), unit(dim=dim))
    text = dataclasses.replace(manifest, format_version=2).to_json()
    with pytest.raises(IndexCorruptError, match="format version 2; this program reads 1: update"):
        ReferenceManifest.from_json(text, box)


def test_two_do_not_change_a_set_at_once(box: Path, dim: int) -> None:
    (box / f"{HIDDEN}dead").mkdir()
    with changing(box):
        assert not list(box.glob(f"{HIDDEN}*"))
        with pytest.raises(StorageError, match="photos of 'box' are being changed"):
            give_references(box, dated(), unit(dim=dim))


def test_an_empty_set_is_none(box: Path, dim: int) -> None:
    with pytest.raises(UsageError, match="one photo or more"):
        give_references(box, [], unit(0, dim))
