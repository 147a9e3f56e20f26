"""Prototypes stand for the photos of a cell: in a search, in its files, and when some are gone."""

from __future__ import annotations

import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from reference_samples import give_references, reference_photos
from small_builds import BOX_WSEN_DEG

from gair.arrays import Floats, Vectors
from gair.errors import IndexCorruptError, UsageError
from gair.geo import haversine_m
from indexer.commands.info import reference_lines
from indexer.ground.likelihood import GroundEvidence, GroundField, GroundKernel
from indexer.ground.likeness import Comparison
from indexer.ground.manifest import OF_PHOTO_FILE, PROTOTYPES_FILE
from indexer.ground.nearby import photos_near
from indexer.ground.prototypes import grouped
from indexer.ground.reference_photos import ReferencePhotos, open_reference_photos
from indexer.ground.remove import remove_photos
from indexer.ground.verify import check_reference_photos
from indexer.index.index import open_index

COUNT = 60
KERNEL = GroundKernel(400.0, 30.0, pseudo_photos=1.0)


def unit(count: int, dim: int, seed: int = 0) -> Vectors:
    s = np.random.default_rng(seed).normal(size=(count, dim))
    return (s / np.linalg.norm(s, axis=1, keepdims=True)).astype(np.float32)


def given(boxes: Path, home: Path, prototypes: int) -> Path:
    """A copy of an index whose photos stand in five of its cells."""
    box = Path(shutil.copytree(boxes / "box", home / f"box-{prototypes}"))
    index = open_index(box)
    cells = index.cells.lonlat_deg[np.arange(0, len(index.cells), len(index.cells) // 5)[:5]]
    rng = np.random.default_rng(1)
    places = cells[np.arange(COUNT) % 5] + rng.uniform(-1e-5, 1e-5, (COUNT, 2))
    resolution = index.manifest.h3_resolution
    sources = ["Mapillary" if n % 2 else "archive" for n in range(COUNT)]
    photos = reference_photos(places, resolution, source=sources)
    give_references(box, photos, unit(COUNT, index.rs.dim), prototypes=prototypes)
    return box


@pytest.fixture(scope="module")
def box(boxes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return given(boxes, tmp_path_factory.mktemp("prototypes"), 3)


@pytest.fixture(scope="module")
def photos(box: Path) -> ReferencePhotos:
    return opened(box)


def opened(box: Path) -> ReferencePhotos:
    references = open_reference_photos(box)
    assert references is not None
    return references


def points() -> Floats:
    west, south, east, north = BOX_WSEN_DEG
    return np.random.default_rng(4).uniform((west, south), (east, north), (30, 2))


def slow(photos: ReferencePhotos, s: Vectors, gone: frozenset[int] = frozenset()) -> list[float]:
    """The formula over groups of photos, each as many times as it has photos."""
    assert photos.prototypes is not None
    told = []
    for number in range(len(photos.prototypes)):
        rows = [n for n in np.flatnonzero(photos.prototypes.of_photo == number) if n not in gone]
        if rows:
            mean = photos.vectors(np.array(rows)).mean(axis=0)
            w = math.exp(KERNEL.sharpness * float(s @ mean) / float(np.linalg.norm(mean)))
            told.append((len(rows), w, photos.prototypes.lonlat_deg[number]))
    base = sum(count * w for count, w, _ in told) / sum(count for count, _, _ in told)
    logs = []
    for point in points():
        likely = around = 1.0
        for count, w, place in told:
            away_m = float(haversine_m(point, place))
            kernel = math.exp(-0.5 * (away_m / KERNEL.kernel_m) ** 2)
            kernel *= away_m <= 4 * KERNEL.kernel_m
            likely += count * w / base * kernel
            around += count * kernel
        logs.append(math.log(likely / around))
    return logs


def test_groups_are_of_photos_that_look_alike() -> None:
    a, b = unit(2, 16)
    s = np.stack([a, b, b, a, a, b]) + 0.01 * unit(6, 16, 3)
    s = (s / np.linalg.norm(s, axis=1, keepdims=True)).astype(np.float32)
    group, means = grouped(s, 2)
    assert group.tolist() == [0, 1, 1, 0, 0, 1]
    wanted = [[1, a @ b], [a @ b, 1]]
    np.testing.assert_allclose(means @ np.stack([a, b]).T, wanted, atol=0.02)
    few, own = grouped(s[:2], 4)
    assert few.tolist() == [0, 1]
    np.testing.assert_array_equal(own, s[:2])
    same, one = grouped(np.repeat(a[None], 5, axis=0), 3)  # two of three groups have no photo
    assert (same.tolist(), len(one)) == ([0] * 5, 1)


def test_a_search_compares_with_them_and_each_counts_its_photos(photos: ReferencePhotos) -> None:
    assert photos.prototypes is not None
    assert len(photos.prototypes) == 15
    s = unit(2, photos.store.dim, 9)
    field = GroundField(Comparison(photos), points())
    evidence = field.evidence(s, KERNEL)
    wanted = [slow(photos, one) for one in s]
    np.testing.assert_allclose(evidence.log_ratios, wanted, atol=1e-2)
    assert np.ptp(wanted) > 0.2
    near = points()[:1]
    np.testing.assert_allclose(evidence.at(near), sum(evidence.log_ratios[:, 0]), atol=1e-5)


def test_photos_that_are_left_out_leave_their_prototypes(photos: ReferencePhotos) -> None:
    assert photos.prototypes is not None
    whole = photos.prototypes.members(4)
    own = np.union1d(whole, np.arange(0, COUNT, 7))
    (s,) = unit(1, photos.store.dim, 9)
    field = GroundField(Comparison(photos), points())
    evidence = field.evidence(s[None], KERNEL, [own])
    assert 4 not in evidence.likenesses[0].rows
    wanted = slow(photos, s, frozenset(own.tolist()))
    np.testing.assert_allclose(evidence.log_ratios[0], wanted, atol=1e-2)
    few = Comparison(photos, nearest=5, sample=15)
    about = GroundField(few, points()).evidence(s[None], KERNEL, [own])
    np.testing.assert_allclose(about.log_ratios[0], wanted, atol=0.3)
    assert np.abs(np.subtract(wanted, slow(photos, s))).max() > 0.02


def test_photos_are_shown_and_not_prototypes(photos: ReferencePhotos) -> None:
    row = 7
    (s,) = photos.vectors(np.array([row]))
    field = GroundField(Comparison(photos), points())
    place = photos.lonlat_deg[[row]]
    ((best, *_),) = photos_near(field.evidence(s[None], KERNEL), place, 50.0)
    assert best.cosine == pytest.approx(1.0, abs=1e-3)
    assert best.distance_m < 1
    left_out: GroundEvidence = field.evidence(s[None], KERNEL, [np.array([row])])
    ((other, *_),) = photos_near(left_out, place, 50.0)
    assert other.cosine < 0.9


def test_as_many_as_photos_are_the_photos_themselves(boxes: Path, tmp_path: Path) -> None:
    references = opened(given(boxes, tmp_path, 64))
    s = unit(2, references.store.dim, 9)
    by_photo = Comparison(references, one_by_one=True)
    ratios = [
        GroundField(comparison, points()).evidence(s, KERNEL).log_ratios
        for comparison in (Comparison(references), by_photo)
    ]
    np.testing.assert_allclose(*ratios, atol=1e-5)


def test_a_set_says_that_it_has_them_and_keeps_having_them(box: Path, tmp_path: Path) -> None:
    references = opened(box)
    (line,) = [line for line in reference_lines(references.manifest, 9.0) if "prototypes" in line]
    assert "searched by 15 prototypes, at most 3 a cell" in line
    findings = {finding.file.name: finding for finding in check_reference_photos(box)}
    assert not [finding.problem for finding in findings.values() if finding.problem]
    assert findings[PROTOTYPES_FILE].note == "15 prototypes, at most 3 a cell"
    copy = Path(shutil.copytree(box, tmp_path / "box"))
    remove_photos(copy, source="archive", quiet=True)
    left = opened(copy)
    assert (len(left), left.manifest.prototypes) == (COUNT // 2, 3)
    assert left.manifest.content_sha256 != references.manifest.content_sha256


def test_damage_is_named(box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Path(shutil.copytree(box, tmp_path / "box"))
    (file,) = copy.glob(f"ground-*/{OF_PHOTO_FILE}")
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    with pytest.raises(IndexCorruptError, match="differs from what was written"):
        open_reference_photos(copy)
    monkeypatch.setattr("indexer.ground.prototypes.VERSION", 2)
    with pytest.raises(IndexCorruptError, match="prototypes of version 1; this program reads 2"):
        open_reference_photos(box)


def test_a_number_of_them_that_makes_no_sense(box: Path) -> None:
    with pytest.raises(UsageError, match=r"`prototypes` 65: it must be 0 \(none\) to 64 a cell"):
        give_references(box, reference_photos(points()), unit(30, 64), prototypes=65)


def test_content_depends_on_them(boxes: Path, tmp_path: Path, box: Path) -> None:
    """A calibration with prototypes does not hold without, though the photos are the same."""
    without, again = (opened(given(boxes, tmp_path, n)).manifest for n in (0, 3))
    assert again.content_sha256 == opened(box).manifest.content_sha256
    assert without.content_sha256 != again.content_sha256
    assert dataclasses.replace(without, search={}).prototypes == 0
