"""Similarity maps: each pixel and each cell has the cosine of its place, and ranks are counted."""

from __future__ import annotations

import csv
import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_builds import rewrite_manifest, tiny_model
from toy_city import photo

from gair.errors import SearchIndexError, UsageError
from gair.geo import haversine_m
from gair.photos.photo import open_photo
from indexer.search.geolocator import Geolocator
from training.experiments.similarity_maps import (
    MapOptions,
    SimilarityMaps,
    main,
    similarity_maps,
)
from training.experiments.similarity_picture import picture

TRUTH = (-0.1043, 51.5058)
SPACING_M = 60.0


@pytest.fixture(scope="module")
def box(boxes: Path) -> Geolocator:
    return Geolocator.open("box", indexes_dir=boxes, model=tiny_model())


@pytest.fixture(scope="module")
def maps(box: Geolocator) -> SimilarityMaps:
    return similarity_maps(box, open_photo(photo(1)), TRUTH, SPACING_M)


def test_a_pixel_of_the_tile_has_the_cosine_of_its_place(
    box: Geolocator, maps: SimilarityMaps
) -> None:
    side = len(maps.tile_cosines)
    assert maps.tile_cosines.shape == (side, side)
    assert maps.tile_side_m / side == pytest.approx(SPACING_M, rel=0.05)
    reader = box.space.reader
    assert reader is not None
    (s,) = box.embed([maps.photo])
    west, south, east, north = box.index.frames.bounds_wsen_m[maps.frame]
    for row, column in ((0, 0), (0, side - 1), (side // 2, 3), (side - 1, 1)):
        # Straight from the bounds: the first row is the north, the first column the west.
        x_m = west + (column + 0.5) / side * (east - west)
        y_m = north - (row + 0.5) / side * (north - south)
        lon_deg = np.degrees(x_m / 6378137)
        lat_deg = np.degrees(2 * np.arctan(np.exp(y_m / 6378137)) - np.pi / 2)
        (z,) = reader.localized([(lon_deg, lat_deg)])
        assert maps.tile_cosines[row, column] == pytest.approx(float(z @ s), abs=2e-5)


def test_the_true_place_is_ranked_among_all_others(box: Geolocator, maps: SimilarityMaps) -> None:
    cells, (s,) = box.index.cells, box.embed([maps.photo])
    assert box.space.reader is not None
    own = float((box.space.reader.localized([TRUTH]) @ s)[0])
    assert maps.in_tile.cosine == pytest.approx(own, abs=2e-5)
    above = sum(1 for cosine in maps.tile_cosines.ravel().tolist() if cosine > own)
    assert maps.in_tile.rank == 1 + above
    assert maps.in_tile.share_above == pytest.approx(above / maps.tile_cosines.size)
    (cell,) = box.space.cell_row([TRUTH])
    e = box.index.location.vectors(np.arange(len(cells)))
    cosines = (e @ s).tolist()
    higher = [n for n, cosine in enumerate(cosines) if cosine > cosines[cell]]
    assert maps.in_city.rank == 1 + len(higher)
    share = cells.area_m2[higher].sum() / cells.area_m2.sum()
    assert maps.in_city.share_above == pytest.approx(share)
    best = cells.lonlat_deg[int(np.argmax(cosines))]
    assert maps.in_city.peak_m == pytest.approx(float(haversine_m([best], [TRUTH])[0]))
    np.testing.assert_allclose(maps.city_cosines, cosines, atol=1e-5)
    assert any(f"rank {1 + len(higher)} of {len(cells)} cells" in line for line in maps.lines)


def test_the_picture_has_a_row_a_photo_and_shows_both_maps(
    box: Geolocator, maps: SimilarityMaps
) -> None:
    drawn = picture(box.index, [maps])
    one, two = (Image.open(io.BytesIO(file)) for file in (drawn, picture(box.index, [maps] * 2)))
    assert one.width == two.width
    assert one.height < two.height
    for name in ("tile_cosines", "city_cosines"):
        turned = dataclasses.replace(maps, **{name: -getattr(maps, name)})
        assert picture(box.index, [turned]) != drawn


def test_the_picture_names_the_photo_and_no_folder_of_this_machine(
    box: Geolocator, maps: SimilarityMaps
) -> None:
    drawn = []
    for name in ("a.jpg", "/home/somebody/a.jpg", "b.jpg"):
        photo = dataclasses.replace(maps.photo, name=name)
        drawn.append(picture(box.index, [dataclasses.replace(maps, photo=photo)]))
    assert drawn[0] == drawn[1] != drawn[2]


def test_places_outside_and_indexes_without_maps_are_refused(
    box: Geolocator, boxes: Path, tmp_path: Path
) -> None:
    seen = open_photo(photo(1))
    with pytest.raises(UsageError, match="was taken at 10.00000, 10.00000, in no cell of index"):
        similarity_maps(box, seen, (10.0, 10.0))
    with pytest.raises(UsageError, match="makes .* points, more than"):
        similarity_maps(box, seen, TRUTH, 0.1)
    shutil.copytree(boxes / "box", tmp_path / "box")
    rewrite_manifest(tmp_path / "box", tokens=None)
    bare = Geolocator.open("box", indexes_dir=tmp_path, model=tiny_model())
    with pytest.raises(SearchIndexError, match="has no token maps"):
        similarity_maps(bare, seen, TRUTH)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "which photos"),
        ({"photos": Path("p.csv"), "spacing_m": 0.0}, "must be above 0"),
        ({"photos": Path("p.csv"), "out": Path("a.jpg")}, "must end in .png"),
        ({"city": Path("city")}, "give the `model`"),
        ({"city": Path("city"), "model": "m", "index": "i"}, "and no `index`"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        MapOptions(**{"out": Path("a.png"), **options})  # type: ignore[arg-type]


def test_the_command_draws_photos_of_an_index_or_of_a_city(
    boxes: Path, city_tif: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    city = tmp_path / "city"
    (city / "imagery").mkdir(parents=True)
    shutil.copy(city_tif, city / "imagery")
    lon_deg, lat_deg = TRUTH
    with (city / "photos.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "lat", "lon", "season"])
        for number in (1, 2):
            photo(number).save(city / f"{number}.jpg")
            writer.writerow([f"{number}.jpg", lat_deg, lon_deg, "winter"])
    out = tmp_path / "maps.png"
    argv = ["--spacing-m", "60", "--out", str(out)]
    photos = ["--photos", str(city / "photos.csv"), "--photo", "2.jpg"]
    assert main(["--indexes", str(boxes), *photos, *argv]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{city / '2.jpg'}, taken at 51.50580, -0.10430\n")
    assert "1.jpg" not in told
    assert out.read_bytes().startswith(b"\x89PNG")
    out.unlink()
    assert main(["--city", str(city), "--model", "untrained:tiny", *argv]) == 0
    assert capsys.readouterr().out.startswith(f"{city / '1.jpg'}, taken at")
    assert out.is_file()
    assert main(["--indexes", str(boxes), *photos[:3], "9.jpg", *argv]) == 2
    assert "no photo '9.jpg' is listed" in capsys.readouterr().err
