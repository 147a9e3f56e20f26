"""Items that real catalogues served: bands, offset, grid and date of each, or why it is refused.

What is right is written down by catalogue, flag and baseline, as the folder's README has it, and
not by what is read.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from repository import REPOSITORY
from stac_items import NUMBERED
from stac_world import ASSETS

from gair.errors import BandError
from indexer.imagery.stac.scenes import FINE_BANDS, scene_of

FOLDER = REPOSITORY.parent / "shared" / "data" / "stac_items"
PATHS = sorted(FOLDER.glob("*.json"))

AS_JP2 = {
    "S2A_OPER_MSI_L2A_TL_2APS_20240109T203651_A044654_T60CWS",
    "S2A_OPER_MSI_L2A_TL_VGS1_20220401T110010_A035382_T34LBP",
    "S2A_T01KAB_20230821T221944_L2A",
    "S2A_T01WCP_20230625T234624_L2A",
    "S2B_OPER_MSI_L2A_TL_S2RP_20230315T224658_A018417_T01VCG",
    "S2B_T22HBD_20210122T133224_L2A",
}
"""Of stactools, whose product is as the ground segment delivers it."""
AS_COG = {
    "S2A_T07HFE_20190212T192646_L2A": 0.0,
    "S2B_T01CCV_20191228T210521_L2A": 0.0,
    "S2B_T33XWJ_20220413T150756_L2A": -0.1,  # baseline 04.00
}
"""Of stactools, converted; by their offset."""


def expected(path: Path, item: dict[str, Any]) -> float | str:
    """The offset of an item, or what its refusal says."""
    properties, collection = item["properties"], item.get("collection")
    if collection == "esa-worldcover":
        return "lacks B2, B3, .*SCL"
    if "L1C" in item["id"]:
        return "is Level-1C"
    if path.name.startswith("sentinel2__"):
        return "JPEG 2000" if item["id"] in AS_JP2 else AS_COG[item["id"]]
    if collection == "sentinel-2-c1-l2a":
        return -0.1
    if collection == "sentinel-s2-l2a-cogs":  # Earth Search v0: corrected, or of baseline 02.14
        product = properties["sentinel:product_id"]
        assert properties.get("sentinel:boa_offset_applied") is True or "_N0214_" in product
        return 0.0
    assert collection == "sentinel-2-l2a"
    if "earthsearch:boa_offset_applied" in properties:  # Earth Search v1
        flag = properties["earthsearch:boa_offset_applied"]
        assert flag is True or properties["s2:processing_baseline"] < "04.00"
        return 0.0
    assert "B02" in item["assets"]  # Planetary Computer
    return -0.1 if properties["s2:processing_baseline"] >= "04.00" else 0.0


@pytest.mark.shared
def test_the_real_items_are_there() -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"no real items at {FOLDER}")
    assert len(PATHS) >= 54
    right = {expected(path, json.loads(path.read_bytes())) for path in PATHS}
    assert {-0.1, 0.0, "is Level-1C", "JPEG 2000"} <= right


@pytest.mark.shared
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_real_item_is_read_rightly_or_refused_for_what_it_is(path: Path) -> None:
    item = json.loads(path.read_bytes())
    right = expected(path, item)
    if isinstance(right, str):
        with pytest.raises(BandError, match=f"^scene {item['id']} .*{right}") as caught:
            scene_of(item)
        assert "\n" not in str(caught.value)
        return
    scene = scene_of(item)
    keys = NUMBERED if "B02" in item["assets"] else ASSETS
    assert {name: band.key for name, band in scene.bands.items()} == keys
    offsets = {name: band.offset for name, band in scene.bands.items() if name != "SCL"}
    assert set(offsets.values()) == {right}
    assert {band.scale for name, band in scene.bands.items() if name != "SCL"} == {1e-4}
    properties = item["properties"]
    epsg = properties.get("proj:code") or f"EPSG:{properties['proj:epsg']}"
    blue = item["assets"][keys["B2"]]
    size, _, west, _, _, north = blue["proj:transform"][:6]
    grid = scene.grid
    assert (grid.crs, grid.west, grid.north, grid.pixel) == (epsg, west, north, 10)
    assert size == 10
    assert (grid.height, grid.width) == (10_980, 10_980)
    assert FINE_BANDS[0] == "B2"
    assert scene.acquired == datetime.fromisoformat(properties["datetime"])
    assert scene.acquired.utcoffset() is not None
    assert scene.cloud_percent == properties["eo:cloud_cover"]
    assert scene.collection == (item.get("collection") or "")
    assert 0 < scene.outline.area <= grid.outline.area * 1.000001
    assert scene.platform.lower().startswith("sentinel-2")
    # The user is told where nothing but a baseline says it.
    told = right != 0 and "raster:bands" not in blue
    assert bool(scene.scale.why) == told
