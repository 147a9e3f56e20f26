"""A data set on disk: what is written comes back, and how it lies in the files."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_builds import snapshot
from tiny_dataset import DATES, FOOTPRINT_M, LONLAT_DEG, tiny_frame, tiny_photos, write_tiny_dataset

from gair.bands import GAIR_BANDS
from gair.geo import Footprint
from training.dataset.shards import ShardedDataset, ShardWriter, reader, writer
from training.dataset.shards.schema import FrameRecord, PhotoRecord

SQUARE = Footprint.web_mercator_square(LONLAT_DEG, FOOTPRINT_M)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two places a split, three footprints a place, two dates. Do not write to it."""
    folder = tmp_path_factory.mktemp("tiny") / "data"
    return write_tiny_dataset(folder, photos_per_place=9, footprints_per_place=3)


def one_place(folder: Path, count: int = 5) -> tuple[list[FrameRecord], list[PhotoRecord]]:
    """Write one footprint with two dates, and return what went in."""
    rng = np.random.default_rng(3)
    frames = [tiny_frame("f", "sea", SQUARE, rng, acquired=date) for date in DATES[:2]]
    photos = tiny_photos("f", "sea", SQUARE, rng, count=count)
    with ShardWriter(folder, footprint_mercator_m=FOOTPRINT_M) as writer:
        for frame in frames:
            writer.add_frame("train", frame)
        writer.add_photos("train", photos)
        writer.left_out["no position"] += 2
        writer.facts["seed"] = 3
    return frames, photos


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    frames, photos = one_place(tmp_path / "data")
    dataset = ShardedDataset.open(tmp_path / "data", verify=True)
    assert len(dataset) == len(photos)
    assert dataset.footprint_ids == ["f"]
    assert dataset.places == ["sea"]
    assert dataset.footprints == [SQUARE]
    assert dataset.dates == [list(DATES[:2])]
    for date, frame in enumerate(frames):
        assert dataset.frame_dn(0, date).dtype == np.uint16
        np.testing.assert_array_equal(dataset.frame_dn(0, date), frame.dn)
    headings = [np.nan if p.heading_deg is None else p.heading_deg for p in photos]
    np.testing.assert_array_equal(dataset.heading_deg, headings)
    np.testing.assert_array_equal(dataset.lonlat_deg, [p.lonlat_deg for p in photos])
    assert [dataset.photo_jpeg(n) for n in range(len(photos))] == [p.jpeg for p in photos]
    assert [dataset.photo_id(n) for n in range(len(photos))] == [p.photo_id for p in photos]
    rows = pq.read_table(tmp_path / "data/photos/train-00000.parquet").to_pylist()
    for row, photo in zip(rows, photos, strict=True):
        assert (row["lon_deg"], row["lat_deg"]) == photo.lonlat_deg
        for name in ("captured_at", "licence", "source", "place", "heading_deg"):
            assert row[name] == getattr(photo, name)


def test_the_manifest_tells_what_is_inside(tmp_path: Path) -> None:
    one_place(tmp_path / "data")
    manifest = json.loads((tmp_path / "data/dataset.json").read_bytes())
    assert manifest["format_version"] == 1
    assert manifest["bands"] == list(GAIR_BANDS)
    assert manifest["footprint_mercator_m"] == FOOTPRINT_M
    assert manifest["splits"] == {"train": {"photos": 5, "footprints": 1, "frames": 2, "places": 1}}
    assert manifest["licences"] == {"CC0-1.0": 5}
    assert manifest["sources"] == {"noise": 5}
    assert manifest["attributions"] == ["Noise 2024"]
    assert manifest["left_out"] == {"no position": 2}
    assert manifest["facts"] == {"seed": 3}
    assert manifest["synthetic"] is False
    assert list(manifest["shards"]) == ["frames/train-00000.parquet", "photos/train-00000.parquet"]


def test_the_same_records_make_the_same_files(tiny: Path, tmp_path: Path) -> None:
    again = write_tiny_dataset(tmp_path / "again", photos_per_place=9, footprints_per_place=3)
    assert snapshot(again) == snapshot(tiny)
    assert ShardedDataset.open(again).fingerprint() == ShardedDataset.open(tiny).fingerprint()
    other = write_tiny_dataset(tmp_path / "other", seed=1)
    assert ShardedDataset.open(other).fingerprint() != ShardedDataset.open(tiny).fingerprint()


def test_splits_are_apart(tiny: Path) -> None:
    train, val = (ShardedDataset.open(tiny, split) for split in ("train", "val"))
    assert set(train.places) == {"sea-0", "sea-1"}
    assert set(val.places) == {"sea-2", "sea-3"}
    assert len(train) == len(val) == 18
    for dataset in (train, val):
        for photo in range(len(dataset)):
            footprint = dataset.footprints[dataset.footprint_of_photo[photo]]
            assert np.abs(footprint.frame_xy(dataset.lonlat_deg[photo])).max() < 1


@pytest.mark.parametrize(("photos", "at_most"), [(64, 64), (65, 64), (200, 64)])
def test_a_row_group_is_of_one_footprint_and_not_too_large(
    tmp_path: Path, photos: int, at_most: int
) -> None:
    folder = write_tiny_dataset(
        tmp_path / "data", places=1, photos_per_place=2 * photos, footprints_per_place=2, dates=1
    )
    for file in (folder / "photos").iterdir():
        parquet = pq.ParquetFile(file)
        groups = [parquet.read_row_group(g) for g in range(parquet.num_row_groups)]
        assert len(groups) == 2 * -(-photos // at_most)
        assert all(len(set(group["footprint_id"].to_pylist())) == 1 for group in groups)
        assert max(len(group) for group in groups) <= at_most


def test_row_groups_and_shards_are_cut_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GROUP_BYTES", 4000)
    monkeypatch.setattr(writer, "SHARD_BYTES", 16_000)
    frames, photos = one_place(tmp_path / "data", count=40)
    files = sorted((tmp_path / "data/photos").iterdir())
    assert len(files) > 2
    for file in files:
        parquet = pq.ParquetFile(file)
        for group in range(parquet.num_row_groups):
            jpegs = parquet.read_row_group(group, columns=["jpeg"])["jpeg"].to_pylist()
            assert sum(map(len, jpegs)) <= 4000
            assert len(jpegs) > 1
    dataset = ShardedDataset.open(tmp_path / "data")
    order = np.random.default_rng(0).permutation(40)
    assert [dataset.photo_jpeg(n) for n in order] == [photos[n].jpeg for n in order]
    assert [dataset.photo_id(n) for n in order] == [photos[n].photo_id for n in order]
    assert len(np.unique(dataset.row_group_of_photo)) > 10
    np.testing.assert_array_equal(dataset.frame_dn(0, 1), frames[1].dn)


def test_a_footprint_may_come_in_pieces_and_before_its_frame(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photos = tiny_photos("f", "sea", SQUARE, rng, count=4)
    with ShardWriter(tmp_path / "data", footprint_mercator_m=FOOTPRINT_M) as writer:
        writer.add_photos("test", photos[:3])
        writer.add_photos("test", photos[3:])
        writer.add_frame("test", tiny_frame("f", "sea", SQUARE, rng))
    dataset = ShardedDataset.open(tmp_path / "data", "test")
    assert [dataset.photo_id(n) for n in range(4)] == [p.photo_id for p in photos]


def test_frames_may_have_any_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = tiny_frame("f", "sea", SQUARE, rng)
    wide = FrameRecord(**{**vars(frame), "dn": frame.dn[:, :7, :31]})
    with ShardWriter(tmp_path / "data", footprint_mercator_m=FOOTPRINT_M) as writer:
        writer.add_frame("train", wide)
        writer.add_photos("train", tiny_photos("f", "sea", SQUARE, rng))
    np.testing.assert_array_equal(ShardedDataset.open(tmp_path / "data").frame_dn(0, 0), wide.dn)


def test_a_pickled_data_set_reads_alike_and_carries_no_cache(tiny: Path) -> None:
    dataset = ShardedDataset.open(tiny)
    before = len(pickle.dumps(dataset))
    first = dataset.photo_jpeg(7), dataset.frame_dn(2, 1)
    assert len(pickle.dumps(dataset)) == before
    again = pickle.loads(pickle.dumps(dataset))
    assert again.photo_jpeg(7) == first[0]
    np.testing.assert_array_equal(again.frame_dn(2, 1), first[1])


def _read_all(dataset: ShardedDataset, rounds: int, wanted: list[bytes]) -> None:
    for _ in range(rounds):
        dataset._photos = reader.ByteCache(0)  # read from the file every time
        assert [dataset.photo_jpeg(n) for n in range(len(dataset))] == wanted


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs a platform with fork"
)
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_reads_the_same(tiny: Path) -> None:
    """It shares open files with its parent, which reads them too."""
    dataset = ShardedDataset.open(tiny)
    wanted = [dataset.photo_jpeg(n) for n in range(len(dataset))]
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_read_all, args=(dataset, 40, wanted))
    child.start()
    _read_all(dataset, 40, wanted)
    child.join()
    assert child.exitcode == 0


def test_caches_are_bounded_in_bytes(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame_bytes, photo_bytes = 2 * 10 * 32 * 32, 4 * 1600
    monkeypatch.setattr(reader, "FRAME_CACHE_BYTES", 3 * frame_bytes)
    monkeypatch.setattr(reader, "PHOTO_CACHE_BYTES", photo_bytes)
    dataset = ShardedDataset.open(tiny)
    for photo in range(len(dataset)):
        dataset.photo_jpeg(photo)
        assert 0 < dataset._photos.currsize <= photo_bytes
    for footprint in range(6):
        for date in range(2):
            dataset.frame_dn(footprint, date)
            assert 0 < dataset._frames.currsize <= 3 * frame_bytes
    assert dataset._frames.currsize == 3 * frame_bytes
