"""From photos and imagery to a data set: every photo is packed or counted as left out."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from packing_samples import (
    city_lonlat,
    column,
    exif_at,
    pack_quietly,
    random_lonlats,
    save_photo,
    write_manifest,
    write_photos,
)
from toy_city import write_city

from gair.errors import DatasetError, GairError, UsageError
from gair.files import sha256_of
from indexer.imagery import open_imagery
from indexer.photos.listing import BROKEN
from training.dataset.pack.checks import (
    DUPLICATE,
    FILE_MISSING,
    IMPOSSIBLE,
    MOSTLY_EMPTY,
    NO_COORDINATES,
    NO_DATA,
    NULL_ISLAND,
    OUTSIDE,
    SWAPPED,
)
from training.dataset.pack.dated_imagery import SYNTHETIC_ATTRIBUTION
from training.dataset.pack.options import SplitOptions
from training.dataset.pack.pack import PackOptions, PackReport, SplitCounts, pack
from training.dataset.shards import ShardedDataset

ALL_TRAIN = SplitOptions(shares=(1.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy city on two days; the second has a hole."""
    folder = tmp_path_factory.mktemp("imagery")
    write_city(folder / "s_20230102T101010.tif", seed=1)
    write_city(folder / "s_20240501T101010.tif", hole=True)
    return folder


def test_what_is_read_back_is_what_went_in(
    two_days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.dataset.pack.pack._PHOTOS_AT_ONCE", 3)
    lonlat_deg = random_lonlats(40, inset_m=900)
    manifest = write_photos(tmp_path / "in", lonlat_deg, ["London"] * 40)
    report = pack_quietly(manifest, two_days, tmp_path / "out", split=ALL_TRAIN, licence="CC0")
    assert report.left_out == {}
    assert report.splits == {"train": SplitCounts(photos=40, footprints=4, frames=8, places=1)}
    dataset = ShardedDataset.open(tmp_path / "out", verify=True)
    assert set(dataset.places) == {"London"}
    assert report.size_bytes > sum(
        file.stat().st_size for file in (tmp_path / "out/frames").iterdir()
    )
    names = column(tmp_path / "out", "photos", "photo_id")
    for number, name in enumerate(names):
        source = int(name.removesuffix(".jpg"))
        assert tuple(dataset.lonlat_deg[number]) == tuple(lonlat_deg[source])
        assert dataset.photo_jpeg(number) == (tmp_path / "in" / name).read_bytes()
        square = dataset.footprints[dataset.footprint_of_photo[number]]
        assert np.abs(square.frame_xy(lonlat_deg[source])).max() <= 1
    assert dataset.manifest["licences"] == {"CC0": 40}
    assert dataset.manifest["sources"] == {"unknown": 40}
    with open_imagery(two_days / "s_20240501T101010.tif") as imagery:
        for footprint, square in enumerate(dataset.footprints):
            assert dataset.dates[footprint] == ["2023-01-02", "2024-05-01"]
            dn = dataset.frame_dn(footprint, 1)
            np.testing.assert_array_equal(dn, imagery.read(square, dn.shape[1:]).dn)


def test_everything_a_row_says_is_kept(city_tif: Path, tmp_path: Path) -> None:
    lon, lat = city_lonlat(2000, 2000)
    save_photo(tmp_path / "a.jpg")
    header = ["id", "path", "latitude", "longitude", "compass_angle", "date", "license", "source"]
    row = ["one", "a.jpg", lat, lon, -90, "2020-05-01T10:00:00Z", "CC BY-SA 4.0", "Mapillary"]
    header, row = [*header, "credit"], [*row, "by someone"]
    write_manifest(tmp_path / "photos.csv", header, [row])
    pack_quietly(tmp_path / "photos.csv", city_tif, tmp_path / "out", licence="CC0", source="me")
    (row,) = pq.read_table(tmp_path / "out/photos/train-00000.parquet").to_pylist()
    assert row["photo_id"] == "one"
    assert row["heading_deg"] == 270.0
    assert row["captured_at"] == "2020-05-01T10:00:00+00:00"
    assert (row["licence"], row["source"]) == ("CC BY-SA 4.0", "Mapillary")
    assert row["attribution"] == "by someone"
    assert row["place"] == f"around {lat:.4f} {lon:.4f}"
    assert column(tmp_path / "out", "frames", "place") == [row["place"]]


def test_each_reason_is_counted_with_examples(two_days: Path, tmp_path: Path) -> None:
    lon, lat = city_lonlat(2000, 2000)
    hole = city_lonlat(2200, 2200)
    corner = city_lonlat(30, 3970)
    for number in range(14):
        save_photo(tmp_path / f"{number}.jpg", seed=number)
    save_photo(tmp_path / "2.jpg", seed=1)
    (tmp_path / "3.jpg").write_bytes((tmp_path / "3.jpg").read_bytes()[:700])
    rows = [
        (0, lat, lon, ""), (1, lat, lon, ""), (2, lat, lon, DUPLICATE), (3, lat, lon, BROKEN),
        (4, "", lon, NO_COORDINATES), (5, 0, 0.0, NULL_ISLAND), (6, lon, lat, SWAPPED),
        (7, 91, lon, IMPOSSIBLE), (8, "nan", lon, IMPOSSIBLE), (9, lat + 1, lon, OUTSIDE),
        (10, corner[1], corner[0], MOSTLY_EMPTY), (11, hole[1], hole[0], NO_DATA),
        (99, lat, lon, FILE_MISSING), (98, lat, lon, FILE_MISSING),
    ]  # fmt: skip
    table = [(f"{number}.jpg", y, x) for number, y, x, _ in rows]
    write_manifest(tmp_path / "photos.csv", ["file", "lat", "lon"], table)
    only = two_days / "s_20240501T101010.tif"
    report = pack_quietly(tmp_path / "photos.csv", only, tmp_path / "out", split=ALL_TRAIN)
    assert report.photos_packed == 2
    assert report.left_out == Counter(reason for *_, reason in rows if reason)
    assert report.examples[SWAPPED] == ("6.jpg",)
    assert report.examples[FILE_MISSING] == ("99.jpg", "98.jpg")
    assert report.examples[BROKEN][0].startswith("3.jpg is truncated or damaged")
    text = "\n".join(report.lines)
    assert "photos: 14 found, 2 packed, 12 left out" in text
    assert f"     2  {IMPOSSIBLE}: 7.jpg, 8.jpg" in text
    # On the other day the hole is whole.
    report = pack_quietly(tmp_path / "photos.csv", two_days, tmp_path / "out2", split=ALL_TRAIN)
    assert report.photos_packed == 3
    assert NO_DATA not in report.left_out


def test_frames_with_too_little_imagery_are_not_used(two_days: Path, tmp_path: Path) -> None:
    north_west = [city_lonlat(*m) for m in [(5, 5), (1500, 300), (1800, 1800), (2300, 2300)]]
    manifest = write_photos(tmp_path / "in", north_west)
    strict = pack_quietly(manifest, two_days, tmp_path / "a", split=ALL_TRAIN, min_valid=1.0)
    lenient = pack_quietly(manifest, two_days, tmp_path / "b", split=ALL_TRAIN, min_valid=0.01)
    assert strict.left_out[MOSTLY_EMPTY] > lenient.left_out.get(MOSTLY_EMPTY, 0)
    assert lenient.photos_packed == 4
    assert min(column(tmp_path / "a", "frames", "valid_fraction")) == 1.0
    assert min(column(tmp_path / "b", "frames", "valid_fraction")) < 0.5
    dates = Counter(map(len, ShardedDataset.open(tmp_path / "a").dates))
    assert dates[1] >= 1  # of the day with the hole the frames around it are missing


def test_centred_footprints_keep_what_tiles_lose_at_the_edge(
    city_tif: Path, tmp_path: Path
) -> None:
    manifest = write_photos(tmp_path / "in", random_lonlats(40, inset_m=5))
    options = {"split": ALL_TRAIN, "footprint_m": 1500.0}
    tiles = pack_quietly(manifest, city_tif, tmp_path / "a", **options)
    centred = pack_quietly(manifest, city_tif, tmp_path / "b", footprints="centred", **options)
    assert tiles.photos_packed < centred.photos_packed == 40
    assert ShardedDataset.open(tmp_path / "b").manifest["footprint_mercator_m"] == 1500.0


@pytest.mark.parametrize("footprints", ["tiles", "centred"])
def test_the_same_input_gives_the_same_bytes(
    two_days: Path, tmp_path: Path, footprints: str
) -> None:
    lonlat_deg = random_lonlats(60, inset_m=300)
    digests = []
    for name in ("one", "another"):
        manifest = write_photos(tmp_path / name, lonlat_deg)
        (tmp_path / name / "5.jpg").write_bytes(b"broken")
        out = tmp_path / f"{name}-out"
        options = {"footprints": footprints, "footprint_m": 800.0, "max_px": 64}
        split = SplitOptions(by="block", block_m=1000, buffer_m=50, shares=(0.6, 0.2, 0.2))
        pack_quietly(manifest, two_days, out, split=split, **options)
        files = sorted(file for file in out.rglob("*") if file.is_file())
        digests.append({file.relative_to(out): sha256_of(file) for file in files})
    assert len(digests[0]) == 7
    assert digests[0] == digests[1]


def test_nothing_to_pack_is_an_error_and_leaves_nothing(city_tif: Path, tmp_path: Path) -> None:
    far = write_photos(tmp_path / "in", [(9.0, 48.0), (9.0, 48.1), (0.0, 0.0)])
    with pytest.raises(DatasetError) as caught:
        pack(PackOptions(far, (city_tif,), tmp_path / "out", quiet=True))
    assert str(caught.value) == (
        "none of 3 photos can be used: 2 outside the imagery, 1 coordinates (0, 0)"
    )
    save_photo(tmp_path / "in/0000.jpg").write_bytes(b"broken")
    lon, lat = city_lonlat(2000, 2000)
    write_manifest(tmp_path / "in/broken.csv", ["file", "lat", "lon"], [["0000.jpg", lat, lon]])
    with pytest.raises(DatasetError, match="1 photo broken"):
        pack(PackOptions(tmp_path / "in/broken.csv", (city_tif,), tmp_path / "out", quiet=True))
    assert not list(tmp_path.glob("out/*"))


def test_a_data_set_is_replaced_only_on_request_and_only_by_a_whole_one(
    city_tif: Path, tmp_path: Path
) -> None:
    manifest = write_photos(tmp_path / "in", random_lonlats(5, inset_m=1000))
    out = tmp_path / "out"
    pack_quietly(manifest, city_tif, out)
    before = sha256_of(out / "dataset.json")
    with pytest.raises(UsageError, match="pass `overwrite`"):
        pack_quietly(manifest, city_tif, out, synthetic=True)
    lost = write_photos(tmp_path / "lost", [(0.0, 0.0)])
    with pytest.raises(GairError, match="none of 1 photos"):
        pack_quietly(lost, city_tif, out, overwrite=True)
    assert sha256_of(out / "dataset.json") == before
    pack_quietly(manifest, city_tif, out, overwrite=True, synthetic=True)
    dataset = ShardedDataset.open(out, verify=True)
    assert dataset.manifest["synthetic"] is True
    assert dataset.manifest["attributions"] == [SYNTHETIC_ATTRIBUTION]


def test_tags_that_contradict_the_manifest_are_a_warning(city_tif: Path, tmp_path: Path) -> None:
    here, near = city_lonlat(2000, 2000), city_lonlat(2500, 2000)
    rows = []
    for name, tags in (("a.jpg", here), ("b.jpg", near), ("c.jpg", (9.0, 48.0))):
        save_photo(tmp_path / name, seed=ord(name[0]), exif=exif_at(tags))
        rows.append((name, here[1], here[0]))
    write_manifest(tmp_path / "photos.csv", ["file", "lat", "lon"], rows)
    report = pack_quietly(tmp_path / "photos.csv", city_tif, tmp_path / "out", split=ALL_TRAIN)
    (warning,) = report.warnings
    assert warning.startswith("1 photos carry GPS tags more than 1 km from")
    assert warning.endswith("c.jpg")


def test_a_folder_of_photos_with_gps_tags(city_tif: Path, tmp_path: Path) -> None:
    for number, lonlat in enumerate(random_lonlats(6, inset_m=900).tolist()):
        save_photo(tmp_path / f"in/{number}.jpg", seed=number, exif=exif_at(tuple(lonlat)))
    save_photo(tmp_path / "in/untagged.jpg")
    (tmp_path / "in/broken.jpg").write_bytes(b"no photo")
    report = pack_quietly(tmp_path / "in", city_tif, tmp_path / "out", split=ALL_TRAIN)
    assert report.photos_packed == 6
    assert report.left_out == {NO_COORDINATES: 1, BROKEN: 1}
    for file in (tmp_path / "out/photos").iterdir():
        assert b"Exif" not in file.read_bytes()


def test_a_report_must_add_up() -> None:
    with pytest.raises(AssertionError, match="3 of 4 photos are accounted for"):
        PackReport(4, {"train": SplitCounts(photos=2)}, {OUTSIDE: 1}, {}, (), ())


def test_too_few_places_for_a_split_is_a_warning(city_tif: Path, tmp_path: Path) -> None:
    manifest = write_photos(tmp_path / "in", random_lonlats(5, inset_m=1000))
    report = pack_quietly(manifest, city_tif, tmp_path / "out")
    assert [warning.split(" gets no photo")[0] for warning in report.warnings] == ["val", "test"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"footprint_m": 20.0}, "`footprint_m` 20 is not between"),
        ({"footprint_m": math.nan}, "`footprint_m` nan"),
        ({"min_valid": 0.0}, "`min_valid` 0 is not above 0"),
        ({"min_valid": 1.1}, "`min_valid` 1.1"),
        ({"max_px": 10}, "`max_px` 10 is too small"),
    ],
)
def test_options_that_cannot_work(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        PackOptions(Path("in"), (Path("imagery"),), Path("out"), **wrong)  # type: ignore[arg-type]
    assert words in str(caught.value)
