"""Heat maps: every file is read back and held against the cells it was made from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.warp
import shapely
from hand_calibration import WEIGHTS, hand_calibration
from PIL import Image
from shapely.geometry import shape
from small_builds import fill_disk, small_disk, tiny_model
from some_cells import cells_around
from toy_city import photo

from gair.errors import StorageError, UsageError
from indexer.index.table import CellRows
from indexer.probability.posterior import area_log_prior, log_likelihood, posterior
from indexer.regions.cell_field import CellField
from indexer.search.geolocator import Geolocator
from indexer.search.maps.heatmap import HeatMap, geotiff
from indexer.search.maps.make_heatmap import make_heatmap
from indexer.search.outlines import make_region
from indexer.search.prior import build_prior
from indexer.search.scored import Scored

CREDITS = {"index": "toy", "model": "tiny", "model_licence": "none", "attribution": "somebody"}


def toy(cells: CellRows, seed: int = 0) -> HeatMap:
    """A made-up posterior with its region."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(len(cells), 0.5))
    region = make_region(p, cells, 0.9, 0.9, promised=True)
    return HeatMap(
        values=p.astype(np.float32),
        what="posterior",
        cells=cells,
        title="a $\\broken{$ 写.jpg in toy",
        best_row=int(p.argmax()),
        region=region,
        note="what to know",
        credits=CREDITS,
    )


@pytest.fixture(scope="module")
def city() -> HeatMap:
    return toy(cells_around(-0.1, 51.5, 10, 9))


@pytest.fixture(scope="module")
def raster(city: HeatMap) -> Any:
    with rasterio.MemoryFile(geotiff(city)) as memory, memory.open() as opened:
        yield opened


def pixel_lonlat_deg(raster: Any) -> npt.NDArray[np.float64]:
    """(H * W, 2) centres of all pixels, by rasterio and PROJ."""
    rows, columns = np.mgrid[: raster.height, : raster.width]
    xs, ys = rasterio.transform.xy(raster.transform, rows.ravel(), columns.ravel())
    lon, lat = rasterio.warp.transform(raster.crs, "OGC:CRS84", xs, ys)
    return np.stack([lon, lat], axis=1)


def test_each_pixel_has_the_value_of_the_cell_that_h3_finds_there(
    city: HeatMap, raster: Any
) -> None:
    density = city.values / (city.cells.area_m2 / 1e6)  # a posterior's raster is a density
    values = dict(zip(city.cells.h3.tolist(), density.tolist(), strict=True))
    drawn = raster.read(1).ravel()
    points = pixel_lonlat_deg(raster)
    wanted = [values.get(int(h3.latlng_to_cell(lat, lon, 10)), np.nan) for lon, lat in points]
    same = np.isclose(drawn, wanted, equal_nan=True, rtol=1e-6, atol=0)
    assert same.mean() > 0.9995  # edges are drawn straight in degrees
    assert 0.1 < np.isnan(drawn).mean() < 0.6
    assert len(np.unique(drawn[~np.isnan(drawn)])) == len(city.cells)


def test_a_raster_knows_its_place_and_its_origin(city: HeatMap, raster: Any) -> None:
    assert raster.crs == rasterio.crs.CRS.from_epsg(3857)
    assert raster.dtypes == ("float32",)
    assert np.isnan(raster.nodata)
    assert raster.descriptions == ("probability a square kilometre",)
    tags = raster.tags()
    assert {name: tags[name.upper()] for name in CREDITS} == CREDITS
    assert tags["WHAT"] == "posterior"
    assert tags["NOTE"] == "what to know"
    assert tags["TITLE"] == city.title
    ground_m = raster.res[0] * np.cos(np.radians(51.5))
    spacing_m = CellField(city.cells.lonlat_deg, city.cells.area_m2).spacing_m
    assert ground_m == pytest.approx(spacing_m / 3, rel=1e-3)


def test_every_cell_centre_reads_its_value(city: HeatMap, raster: Any) -> None:
    lon, lat = city.cells.lonlat_deg.T
    xs, ys = rasterio.warp.transform("OGC:CRS84", raster.crs, lon.tolist(), lat.tolist())
    sampled = np.concatenate(list(raster.sample(list(zip(xs, ys, strict=True)))))
    # A posterior's raster is a density, for each square kilometre.
    density = city.values.astype(np.float64) / (city.cells.area_m2 / 1e6)
    np.testing.assert_allclose(sampled, density, rtol=1e-6)


@pytest.mark.parametrize("place", [(180.0, -16.8, 8, 4), (10.536, 64.7, 5, 3), (-0.1, 51.5, 12, 0)])
def test_rasters_of_awkward_places(place: tuple[float, float, int, int]) -> None:
    heat = toy(cells_around(*place))
    with rasterio.MemoryFile(geotiff(heat)) as memory, memory.open() as opened:
        assert opened.width * opened.height < 3000
        lon, lat = heat.cells.lonlat_deg.T
        near = place[0] + (lon - place[0] + 180) % 360 - 180  # on past the antimeridian
        east_m, _ = rasterio.warp.transform("OGC:CRS84", opened.crs, [1.0], [0.0])
        _, ys = rasterio.warp.transform("OGC:CRS84", opened.crs, lon.tolist(), lat.tolist())
        at = list(zip((near * east_m[0]).tolist(), ys, strict=True))
        sampled = np.concatenate(list(opened.sample(at)))
    density = heat.values / (heat.cells.area_m2 / 1e6)
    np.testing.assert_allclose(sampled, density, rtol=1e-6)


def test_a_raster_of_a_posterior_adds_up_to_its_mass_over_the_ground(
    city: HeatMap, raster: Any
) -> None:
    lat = np.radians(pixel_lonlat_deg(raster)[:, 1])
    ground_km2 = (raster.transform.a * np.cos(lat) / 1000) ** 2
    mass = np.nansum(raster.read(1).ravel() * ground_km2)
    assert mass == pytest.approx(city.values.sum(), rel=0.02)


def test_pixels_as_large_as_asked_for(city: HeatMap) -> None:
    with rasterio.MemoryFile(geotiff(city, 200.0)) as memory, memory.open() as opened:
        assert opened.res[0] * np.cos(np.radians(51.5)) == pytest.approx(200, rel=1e-3)
    for spacing_m in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="a pixel needs a side above 0"):
            geotiff(city, spacing_m)
    with pytest.raises(UsageError, match="pixels, more than 200,000,000: choose a larger one"):
        geotiff(city, 0.01)


def test_geojson_has_a_feature_a_cell(city: HeatMap, tmp_path: Path) -> None:
    file = tmp_path / "map.geojson"
    city.write(file)
    read = json.loads(file.read_text())
    assert read["type"] == "FeatureCollection"
    assert {name: read[name] for name in CREDITS} == CREDITS
    assert read["best_h3"] == h3.int_to_str(city.cells.h3[city.best_row])
    assert read["region"]["properties"] == city.region.summary()  # type: ignore[union-attr]
    assert read["what"] == "posterior"
    assert len(read["features"]) == len(city.cells)
    for row, feature in enumerate(read["features"]):
        assert feature["properties"]["row"] == row
        assert feature["properties"]["h3"] == h3.int_to_str(city.cells.h3[row])
        assert feature["properties"]["value"] == pytest.approx(city.values[row], rel=1e-6)
        cell = shape(feature["geometry"])
        assert cell.is_valid
        assert cell.exterior.is_ccw
        assert shapely.intersects_xy(cell, *city.cells.lonlat_deg[row])
        assert len(cell.exterior.coords) == 7


def test_geojson_of_points_is_smaller(city: HeatMap, tmp_path: Path) -> None:
    city.write(tmp_path / "outlines.geojson")
    city.write(tmp_path / "points.geojson", points=True)
    sizes = [(tmp_path / f"{kind}.geojson").stat().st_size for kind in ("points", "outlines")]
    assert sizes[0] < 0.6 * sizes[1]
    read = json.loads((tmp_path / "points.geojson").read_text())
    centres = [feature["geometry"]["coordinates"] for feature in read["features"]]
    np.testing.assert_allclose(centres, city.cells.lonlat_deg, atol=1e-7)


def test_many_cells_become_points(
    city: HeatMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexer.search.maps.heatmap.MOST_POLYGONS", len(city.cells) - 1)
    city.write(tmp_path / "map.json")
    read = json.loads((tmp_path / "map.json").read_text())
    assert {feature["geometry"]["type"] for feature in read["features"]} == {"Point"}


def test_geojson_across_the_antimeridian_is_cut_there() -> None:
    heat = toy(cells_around(180.0, -16.8, 8, 3))
    features = heat.to_geojson()["features"]
    kinds = [feature["geometry"]["type"] for feature in features]
    assert kinds.count("MultiPolygon") >= 5
    for row, feature in enumerate(features):
        cell = shape(feature["geometry"])
        assert all(
            np.ptp(shapely.get_coordinates(part)[:, 0]) < 1 for part in shapely.get_parts(cell)
        )
        assert shapely.intersects_xy(cell, *heat.cells.lonlat_deg[row])


def test_what_is_left_out_is_null_and_nodata(city: HeatMap, tmp_path: Path) -> None:
    values = city.values.copy()
    values[4] = np.nan
    heat = dataclasses.replace(city, values=values, what="score", region=None)
    properties = [feature["properties"] for feature in heat.to_geojson()["features"]]
    assert [p["row"] for p in properties if p["value"] is None] == [4]
    for name in ("map.geojson", "map.png", "map.tif"):
        heat.write(tmp_path / name)
    assert "NaN" not in (tmp_path / "map.geojson").read_text()
    with rasterio.open(tmp_path / "map.tif") as opened:
        (lon, lat) = heat.cells.lonlat_deg[4]
        x, y = rasterio.warp.transform("OGC:CRS84", opened.crs, [lon], [lat])
        assert np.isnan(next(opened.sample([(x[0], y[0])]))).all()


def test_a_picture_shows_the_best_cell_in_the_colour_of_the_highest_value(tmp_path: Path) -> None:
    # Half of the map at the lowest value and half at the highest: two colours, on the right sides.
    cells = cells_around(-0.1, 51.5, 10, 9)
    east = cells.lonlat_deg[:, 0] > -0.1
    heat = HeatMap(
        east.astype(np.float32), "imagery", cells, "halves", int(east.argmax()), credits=CREDITS
    )
    heat.write(tmp_path / "map.png")
    image = np.asarray(Image.open(tmp_path / "map.png").convert("RGB")).astype(int)
    assert image.shape[1] == 1200
    left, right = image[:, 150:450], image[:, 600:850]
    yellow, blue = (254, 232, 56), (0, 34, 78)  # the ends of the colour map, in numbers
    assert share_of(left, blue) > 0.3 > 0.02 > share_of(left, yellow)
    assert share_of(right, yellow) > 0.3 > 0.02 > share_of(right, blue)


def share_of(pixels: npt.NDArray[np.int64], colour: tuple[int, int, int]) -> float:
    return float((np.abs(pixels - colour).max(axis=-1) < 12).mean())


def test_pictures_of_awkward_places_and_words(tmp_path: Path, city: HeatMap) -> None:
    city.write(tmp_path / "words.png")  # a title with dollars and letters that no font has
    toy(cells_around(180.0, -16.8, 8, 3)).write(tmp_path / "line.PNG")
    toy(cells_around(10.536, 64.7, 5, 2)).write(tmp_path / "pentagon.png")
    toy(cells_around(-0.1, 51.5, 10, 0)).write(tmp_path / "one.png")
    for file in tmp_path.iterdir():
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert image.width == 1200
            assert image.height < 1400


@pytest.mark.parametrize("name", ["map.jpg", "map", "map.png.gz"])
def test_names_that_say_no_kind(city: HeatMap, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="let it end in .png, .tif, .tiff, .geojson or .json"):
        city.write(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_a_full_disk_keeps_the_map_that_was_there(city: HeatMap, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        for name in ("map.png", "map.tif", "map.geojson"):
            (disk / name).write_bytes(b"before")
        fill_disk(disk, 4096)
        for name in ("map.png", "map.tif", "map.geojson"):
            with pytest.raises(StorageError, match=f"cannot write .*{name}: no space left"):
                city.write(disk / name)
            assert (disk / name).read_bytes() == b"before"
        assert len(list(disk.iterdir())) == 4
    with pytest.raises(StorageError, match="cannot write"):
        city.write(tmp_path / "no" / "folder.png")


@pytest.fixture
def geolocator(boxes: Path) -> Geolocator:
    return Geolocator.open("box", indexes_dir=boxes, model=tiny_model())


@pytest.fixture
def scored(geolocator: Geolocator) -> Scored:
    return geolocator.every_cell(geolocator.seen([photo(1)])[0])


def test_the_map_of_a_cosine_is_that_cosine(geolocator: Geolocator, scored: Scored) -> None:
    index = geolocator.index
    for of, store in (("imagery", index.rs), ("location", index.location)):
        heat = make_heatmap(geolocator.space, scored, of)  # type: ignore[arg-type]
        np.testing.assert_array_equal(heat.values, store.scores(scored.s)[0])
        assert heat.what == of
        assert heat.best_row == heat.values.argmax()
        assert heat.region is None
        assert heat.credits["build"] == index.manifest.build
        assert heat.credits["model_licence"] == geolocator.index.manifest.model.licence


def test_without_a_calibration_the_posterior_is_scores_and_says_so(
    geolocator: Geolocator, scored: Scored
) -> None:
    heat = make_heatmap(geolocator.space, scored)
    assert heat.what == "score"
    assert heat.units == "weighed sum of both cosines"
    assert "uncalibrated" in heat.note
    assert "weights: imagery 1, location 0 (by default)" in heat.note
    np.testing.assert_allclose(heat.values, scored.rs[0], rtol=1e-6)
    prior = build_prior(geolocator.index, where='"row" < 9')
    some = make_heatmap(geolocator.space, scored, prior=prior)
    assert (np.isnan(some.values) == (np.arange(23) >= 9)).all()
    assert some.best_row == heat.values[:9].argmax()


def test_the_map_of_a_posterior(geolocator: Geolocator, scored: Scored, boxes: Path) -> None:
    geolocator.space.calibration = hand_calibration(boxes / "box")
    cells, field = geolocator.index.cells, geolocator.space.field
    logs = log_likelihood(scored.rs, scored.location, WEIGHTS, field.blur(WEIGHTS.spread_m))
    for prior in (None, build_prior(geolocator.index, where='"row" < 9', weight='"row" + 1')):
        weight = 0.0 if prior is None else prior.log_weight
        wanted = posterior(logs, area_log_prior(cells.area_m2) + weight)[0]
        heat = make_heatmap(geolocator.space, scored, "posterior", prior=prior, level=0.5)
        np.testing.assert_allclose(heat.values, wanted, rtol=1e-5)
        assert heat.what == "posterior"
        assert heat.region is not None
        assert heat.region.promised is (prior is None)
        assert heat.region.level == 0.5
        assert heat.region.mass >= 0.5
        around = geolocator.space.discs(geolocator.space.merge_radius_m).sums(wanted[None])[0]
        assert heat.best_row == np.where(wanted > 0, around, 0).argmax()
        assert ("prior: 9 of 23 cells" in heat.note) is (prior is not None)


def test_several_photos_of_one_place_count_together(geolocator: Geolocator, boxes: Path) -> None:
    both = [geolocator.every_cell(seen) for seen in geolocator.seen([photo(1), photo(2)])]
    together = Scored(
        tuple(p for one in both for p in one.photos),
        np.concatenate([one.s for one in both]),
        np.concatenate([one.rs for one in both]),
        np.concatenate([one.location for one in both]),
    )
    heat = make_heatmap(geolocator.space, together, "imagery")
    np.testing.assert_allclose(heat.values, (both[0].rs + both[1].rs)[0] / 2, rtol=1e-6)
    geolocator.space.calibration = hand_calibration(boxes / "box")
    region = make_heatmap(geolocator.space, together).region
    assert region is not None
    assert not region.promised


def test_what_cannot_be_shown(geolocator: Geolocator, scored: Scored, boxes: Path) -> None:
    with pytest.raises(
        UsageError, match="no map of 'colour': choose imagery, location, ground, posterior"
    ):
        make_heatmap(geolocator.space, scored, "colour")  # type: ignore[arg-type]
    prior = build_prior(geolocator.index, where="true")
    with pytest.raises(UsageError, match="leave it out for imagery"):
        make_heatmap(geolocator.space, scored, "imagery", prior=prior)
    geolocator.space.calibration = hand_calibration(boxes / "box")
    with pytest.raises(UsageError, match="`level` 2"):
        make_heatmap(geolocator.space, scored, level=2.0)
