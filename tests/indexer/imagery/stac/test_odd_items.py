"""Items with anything anywhere: they are read as they were, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from item_mutations import mutations
from repository import REPOSITORY
from stac_items import NUMBERED, stac_item

from gair.errors import ImageryError
from indexer.imagery.stac.cache import WindowCache
from indexer.imagery.stac.imagery import StacImagery
from indexer.imagery.stac.query import StacQuery
from indexer.imagery.stac.scenes import StacScene, scene_of, scenes_of
from indexer.regions.region import region_from_bbox

REGION = region_from_bbox((-105.26, 40.01, -105.25, 40.02), "boulder")

SCALES = ("raster", "scale", "offset", "boa_offset", "baseline", "product", "version", "collection")


def read(item: dict[str, Any]) -> tuple[StacScene | None, str]:
    """The scene of an item, or why there is none; any other error is a fault."""
    try:
        return scene_of(item), ""
    except ImageryError as error:
        return None, str(error)


def check(item: dict[str, Any], good: StacScene, path: tuple[str | int, ...]) -> StacScene | None:
    """Read a mutated item; what is read is as it was, but for what was mutated."""
    words = " ".join(map(str, path))
    scene, refusal = read(item)
    if scene is None:
        assert "\n" not in refusal, words
        assert len(refusal) < 700, words
        return None
    assert set(scene.bands) == set(good.bands), words
    assert scene.grid == good.grid or "proj:" in words, words
    if not any(word in words for word in SCALES) and path not in (("properties",), ("id",)):
        offsets = {name: band.offset for name, band in scene.bands.items()}
        assert offsets == {name: band.offset for name, band in good.bands.items()}, words
    assert scene.outline.area > 0, words
    assert 0 <= scene.cloud_percent <= 100, words
    return scene


def opened(scene: StacScene, folder: Path) -> None:
    """What a build asks of scenes before it fetches any."""
    query = StacQuery("2024-01-01/2024-12-31", url="http://127.0.0.1:9")
    with StacImagery([scene], REGION, query, WindowCache(folder)) as imagery:
        json.dumps([imagery.describe(), *imagery.warnings], allow_nan=False)
        assert scene.solar_day
        assert imagery.windows.cache.path(
            scene, next(imagery.tiles[0].places("fine", (0, 0, 9, 9)))
        )


@pytest.mark.parametrize("each", [4, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("keys", "offset", "properties"),
    [
        (None, -0.1, {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"}),
        (NUMBERED, None, {"s2:processing_baseline": "05.11"}),
    ],
    ids=["earth-search", "planetary"],
)
def test_any_member_may_be_anything(
    tmp_path: Path,
    keys: dict[str, str] | None,
    offset: float | None,
    properties: dict[str, Any],
    each: int | None,
) -> None:
    item = stac_item(offset=offset, **({"keys": keys} if keys else {}), **properties)
    # Of bands that are alike, one of each pixel size is enough, and the classification.
    mutated = {"blue", "B02", "rededge1", "B05", "scl", "SCL"}
    good = scene_of(item)
    usable = count = 0
    for path, _, odd in mutations(item, each):
        if path[0] == "assets" and len(path) > 1 and path[1] not in mutated:
            continue
        count += 1
        scene = check(odd, good, path)
        if scene is not None:
            usable += 1
            if count % 7 == 0:
                opened(scene, tmp_path)
    assert count > (1500 if each is None else 300)
    assert 0.2 < usable / count < 0.95


def test_of_many_items_the_bad_ones_are_left_out_and_named() -> None:
    items = [stac_item(name=f"S2_{n}") for n in range(6)]
    del items[1]["assets"]["scl"]
    items[2]["geometry"] = {"type": "Point", "coordinates": [-105.25, 40.02]}
    items[3]["properties"]["eo:cloud_cover"] = None
    items[4]["properties"]["proj:epsg"] = 99999
    items[5]["properties"]["eo:cloud_cover"] = 0.5
    scenes, left_out = scenes_of(items, max_cloud=20)
    assert [scene.name for scene in scenes] == ["S2_5", "S2_0"]
    assert left_out["S2_1"].startswith("it lacks SCL (its assets: ")
    assert left_out["S2_2"] == "it has a geometry without area"
    assert left_out["S2_3"] == "it does not state its clouds (eo:cloud_cover)"
    assert left_out["S2_4"] == (
        "it does not say where its pixels lie (proj:code EPSG:99999 is unknown)"
    )
    assert {s.name for s in scenes_of(items, max_cloud=100)[0]} == {"S2_0", "S2_3", "S2_5"}
    with pytest.raises(ImageryError, match=r"^scene S2_1 lacks SCL .*; nor can 1 more be read$"):
        scenes_of(items[1:3])


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({"start_datetime": "2023-06-11T18:02:55Z", "end_datetime": "2023-06-11T18:02:55Z"},
         "2023-06-11T18:02:55+00:00"),
        ({"start_datetime": "2023-06-11T18:00:00Z", "end_datetime": "2023-06-11T18:00:10+00:00"},
         "2023-06-11T18:00:05+00:00"),
        ({"start_datetime": "2023-06-11T18:00:00Z"}, "2023-06-11T18:00:00+00:00"),
        ({"datetime": "2023-06-11T20:00:00+02:00"}, "2023-06-11T18:00:00+00:00"),
        ({"datetime": "2023-06-11T18:00:00.123456789Z"}, "2023-06-11T18:00:00.123456+00:00"),
        ({"datetime": "2023-06-11"}, "2023-06-11T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_when_a_scene_was_taken(changes: dict[str, str], taken: str) -> None:
    item = stac_item(**{"datetime": None, **changes})
    assert scene_of(item).acquired.isoformat() == taken


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "has no date"),
        ({"end_datetime": "2023-06-11T18:02:55Z"}, "has no date"),
        ({"start_datetime": "2023-06-01T00:00:00Z", "end_datetime": "2023-06-30T00:00:00Z"},
         "has no single date, it is from 2023-06-01 to 2023-06-30"),
        ({"datetime": "yesterday"}, "has no date"),
        ({"datetime": 20230611}, "has no date"),
    ],
)  # fmt: skip
def test_scenes_without_a_date(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ImageryError, match=f"^scene S2B_13TDE {says}"):
        scene_of(stac_item(**{"datetime": None, **changes}))


def ring(*extra: object) -> list[object]:
    return [[-106.0, 39.8, *extra], [-105.0, 39.8], [-105.0, 40.5], [-106.0, 40.5], [-106.0, 39.8]]


@pytest.mark.parametrize(
    ("geometry", "says"),
    [
        ({"type": "Polygon", "coordinates": [ring(12.5)]}, None),  # heights here and there
        ({"type": "MultiPolygon", "coordinates": [[ring()]]}, None),
        ({"type": "Polygon", "coordinates": [[[x + 360, y] for x, y in ring()]]}, None),  # type: ignore[misc]
        (None, None),
        ({"type": "Polygon", "coordinates": [[[None, 1], [1, 2], [2, 3], [None, 1]]]},
         "cannot be read"),
        ({"type": "Polygon", "coordinates": [[["a", 1], [1, 2], [2, 3], ["a", 1]]]},
         "cannot be read"),
        ({"type": "Polygon"}, "cannot be read"),
        ({"type": "Circle", "coordinates": [1, 2]}, "cannot be read"),
        ([], "cannot be read"),
        ({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}, "without area"),
        ({"type": "Polygon", "coordinates": []}, "without area"),
        ({"type": "Polygon", "coordinates": [[[1, 2], [3, 2], [3, 4], [1, 2]]]},
         "outside of its own pixels"),
    ],
)  # fmt: skip
def test_geometries(geometry: object, says: str | None) -> None:
    item = stac_item() | {"geometry": geometry}
    if says is None:
        assert scene_of(item).outline.area > 0.5
    else:
        with pytest.raises(ImageryError, match=f"^scene S2B_13TDE has a geometry .*{says}"):
            scene_of(item)


def test_a_tile_on_no_place_of_its_zone_is_refused() -> None:
    item = stac_item()
    for asset in item["assets"].values():
        size = asset["proj:transform"][0]
        asset["proj:transform"] = [size, 0, 9e15, 0, -size, 9e15]
    with pytest.raises(ImageryError, match="its corner 9e.15, 9e.15 is no place of EPSG:32613"):
        scene_of(item)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"proj:transform": None}, "no proj:transform"),
        ({"proj:shape": None}, "no proj:shape"),
        ({"proj:transform": "10,0,0"}, "proj:transform 10,0,0 is none"),
        ({"proj:transform": [10, 0, 399_960.0, 0, -20, 4_500_000.0]}, "is not north-up"),
        ({"proj:shape": [10**9, 10**9]}, r"proj:shape \[1000000000, .*\] is none of a tile"),
        ({"proj:shape": [10_980]}, r"proj:shape \[10980\] is none of a tile"),
        ({"proj:code": "EPSG:99999"}, "proj:code EPSG:99999 is unknown"),
        ({"proj:code": "mars"}, "proj:code mars is unknown"),
    ],
)
def test_grids_that_are_none(change: dict[str, object], reason: str) -> None:
    item = stac_item()
    for asset in item["assets"].values():
        asset.update(change)
    with pytest.raises(ImageryError, match=reason) as caught:
        scene_of(item)
    assert ("lacks proj:code" in str(caught.value)) == reason.startswith("no proj")


@pytest.mark.shared
def test_any_member_of_a_real_item_may_be_anything() -> None:
    paths = sorted((REPOSITORY.parent / "shared/data/stac_items").glob("*.json"))
    if not paths:
        pytest.skip("no real items beside the checkout")
    kinds: dict[tuple[object, ...], dict[str, Any]] = {}
    for path in paths:
        item = json.loads(path.read_bytes())
        kind = (path.name.split("__")[0], item.get("collection"), item["stac_version"])
        kinds.setdefault(kind, item)
    assert len(kinds) >= 10
    for seed, item in enumerate(kinds.values()):
        good, _ = read(item)
        some_keys = {"blue", "B02", "rededge1", "B05", "scl", "SCL", "visual", "map"}
        for path, _, odd in mutations(item, each=1, seed=seed):
            if path[0] == "assets" and len(path) > 2 and path[1] not in some_keys:
                continue
            if good is not None:
                check(odd, good, path)
            else:
                assert "\n" not in read(odd)[1]
