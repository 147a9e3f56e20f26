"""Which asset is which band, in the words of catalogues; what an item without bands is."""

from __future__ import annotations

from typing import Any

import pytest
from stac_items import NUMBERED, band_asset, stac_item
from stac_world import ASSETS

from gair.errors import BandError
from indexer.imagery.stac.scenes import scene_of


def keys_of(item: dict[str, Any]) -> dict[str, str]:
    return {name: band.key for name, band in scene_of(item).bands.items()}


@pytest.mark.parametrize(
    "keys",
    [
        ASSETS,
        NUMBERED,
        {b: f"{k}_{10 if b in ('B2', 'B3', 'B4', 'B8') else 20}m" for b, k in NUMBERED.items()},
        {b: k.lower() for b, k in NUMBERED.items()},
        {b: f"band_{b[1:]}" if b != "SCL" else "SCL-20m" for b in ASSETS},
        {**{b: f"Band {b[1:]}" for b in ASSETS}, "SCL": "scene_classification"},
    ],
    ids=["earth-search", "planetary", "cdse", "lower", "words", "titles"],
)
def test_keys_of_the_catalogues_there_are(keys: dict[str, str]) -> None:
    assert keys_of(stac_item(keys=keys)) == {band: keys[band] for band in ASSETS}


def test_a_key_that_says_nothing_goes_by_its_only_band() -> None:
    keys = {band: f"file-{n}" for n, band in enumerate(ASSETS)} | {"SCL": "scl"}
    item = stac_item(keys=keys)
    item["assets"]["visual"] = {
        **band_asset("B4", "https://files.example/tci.tif"),
        "eo:bands": [{"name": "B04"}, {"name": "B03"}, {"name": "B02"}],
    }
    assert keys_of(item) == keys
    for band, key in keys.items():
        if band != "SCL":
            item["assets"][key]["bands"] = item["assets"][key].pop("eo:bands")
    assert keys_of(item) == keys
    item["assets"]["file-0"]["bands"] = [{"name": "1", "eo:common_name": "blue"}]
    assert keys_of(item) == keys


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_resolutions_the_band_itself_is_taken_else_the_finest(order: int) -> None:
    item = stac_item()
    coarser = {
        "proj:shape": [1830, 1830], "proj:transform": [60, 0, 399_960.0, 0, -60, 4_500_000.0],
        "gsd": 60,
    }  # fmt: skip
    assets = dict(item["assets"])
    for key in ASSETS.values():
        assets[f"{key}_60m"] = {**item["assets"][key], **coarser}
    item["assets"] = dict(list(assets.items())[::order])
    assert keys_of(item) == ASSETS
    for key in ASSETS.values():
        size = 10 if key in ("blue", "green", "red", "nir") else 20
        assets[f"{key}_{size}m"] = assets.pop(key)
    item["assets"] = dict(list(assets.items())[::order])
    assert {key.rpartition("_")[2] for key in keys_of(item).values()} == {"10m", "20m"}
    for asset in item["assets"].values():  # the name alone must do
        del asset["gsd"]
    assert {key.rpartition("_")[2] for key in keys_of(item).values()} == {"10m", "20m"}


def as_jp2(asset: dict[str, Any], media_type: str | None) -> dict[str, Any]:
    return {**asset, "type": media_type, "href": asset["href"].replace(".tif", ".jp2?sig=1")}


@pytest.mark.parametrize("media_type", ["image/jp2", "image/jpeg2000", "IMAGE/JP2", None, ""])
def test_bands_as_jpeg_2000_are_called_that(media_type: str | None) -> None:
    item = stac_item()
    item["assets"] = {key: as_jp2(asset, media_type) for key, asset in item["assets"].items()}
    with pytest.raises(BandError) as caught:
        scene_of(item)
    text = str(caught.value)
    assert text.startswith("scene S2B_13TDE has its bands as JPEG 2000 (blue, ...), which are not ")
    assert "download them and give their folder" in text
    assert "sentinel-2-c1-l2a" in text
    assert "\n" not in text


def test_jpeg_2000_beside_geotiffs_is_no_obstacle() -> None:
    item = stac_item()
    jp2 = {f"{key}-jp2": as_jp2(asset, "image/jp2") for key, asset in item["assets"].items()}
    item["assets"] = jp2 | item["assets"]
    assert keys_of(item) == ASSETS


@pytest.mark.parametrize(
    "change",
    [
        {"collection": "sentinel-2-l1c"},
        {"id": "S2B_20EPT_20250731_0_L1C"},
        {"id": "S2A_OPER_MSI_L1C_TL_SGS__20181231T203637_A018414_T10SDG"},
        {"properties": {"s2:product_type": "S2MSI1C"}},
        {"properties": {"s2:product_uri": "S2B_MSIL1C_20250731T131909_N0511_R095_T20EPT_x.SAFE"}},
        {"properties": {"processing:level": "L1C"}},
    ],
)
def test_level_1c_is_called_that(change: dict[str, Any]) -> None:
    item = stac_item()
    del item["assets"]["scl"]
    item["properties"] |= change.pop("properties", {})
    with pytest.raises(BandError, match="is Level-1C, top-of-atmosphere reflectance: pass a `coll"):
        scene_of(item | change)


def test_level_2a_is_not_called_level_1c() -> None:
    item = stac_item(**{"s2:product_type": "S2MSI2A", "processing:level": "L2A"})
    item["properties"]["sentinel:sentinel_tile_id"] = "S2A_OPER_MSI_L1C_TL_VGS1"
    assert keys_of(item) == ASSETS


def test_what_is_no_sentinel_2_says_what_it_lacks() -> None:
    item = stac_item(collection="esa-worldcover")
    item["assets"] = {"map": item["assets"]["red"] | {"eo:bands": []}}
    with pytest.raises(BandError, match=r"lacks B2, .* B12, SCL \(its assets: map\): pass a `coll"):
        scene_of(item)
