"""The offset of a scene: the table of the docs, and each rule by itself."""

from __future__ import annotations

import re
from typing import Any

import pytest
from repository import REPOSITORY
from stac_items import NUMBERED, stac_item

from gair.errors import ImageryError
from indexer.imagery.stac.scales import BandScale, band_scale
from indexer.imagery.stac.scenes import scene_of

PRODUCT = "S2B_MSIL2A_20240405T174901_N0510_R141_T13TDE_20240406T010253"


def scale_of(item: dict[str, Any], band: str = "red") -> BandScale:
    return band_scale(item, item["assets"][band])


def table() -> list[list[str]]:
    """Rows of the table in the docs, without its head."""
    text = (REPOSITORY / "docs" / "imagery.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip(" `") for cell in row] for row in rows[1:]]


@pytest.mark.parametrize("row", table(), ids=lambda row: "-".join(row[:5]))
def test_the_table_of_the_docs_is_what_is_done(row: list[str]) -> None:
    catalogue, collection, flag, stated, baseline, offset, basis, why = row
    properties: dict[str, object] = {}
    if flag != "none":
        version_0 = catalogue == "Earth Search v0"
        prefix = "sentinel" if version_0 else "earthsearch"
        properties[f"{prefix}:boa_offset_applied"] = flag == "true"
    if baseline != "none" and catalogue == "Earth Search v0":
        properties["sentinel:product_id"] = PRODUCT.replace(
            "N0510", "N" + baseline.replace(".", "")
        )
    elif baseline != "none":
        properties["s2:processing_baseline"] = baseline
    item = stac_item(
        collection=collection, offset=None if stated == "none" else float(stated), **properties
    )
    scene = scene_of(item)
    assert {band.offset for name, band in scene.bands.items() if name != "SCL"} == {float(offset)}
    assert scene.scale.scale == 1e-4
    assert scene.scale.basis == basis
    # What is guessed or derived is told; what is stated is not.
    assert bool(scene.scale.why) == (basis == "nothing" or (basis == "baseline" and offset != "0"))
    assert why


def test_the_table_is_a_table() -> None:
    assert len(table()) >= 14
    assert re.search(r"docs/imagery\.md", (REPOSITORY / "README.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["earthsearch", "sentinel", "s2"])
@pytest.mark.parametrize("value", [True, "true", "True", 1])
def test_a_flag_outweighs_what_is_stated(name: str, value: object) -> None:
    item = stac_item(offset=-0.1, **{f"{name}:boa_offset_applied": value})
    assert scale_of(item) == BandScale(1e-4, 0.0, "flag")


@pytest.mark.parametrize("value", [False, None, "false", "no", 0, 2, [], {}, "yes", ["true"]])
def test_a_flag_that_is_no_yes_says_nothing(value: object) -> None:
    item = stac_item(offset=-0.1, **{"earthsearch:boa_offset_applied": value})
    assert scale_of(item) == BandScale(1e-4, -0.1, "stated")
    item = stac_item(
        offset=None,
        **{"earthsearch:boa_offset_applied": value, "s2:processing_baseline": "05.09"},
    )
    assert scale_of(item).offset == -0.1


def test_flags_that_contradict_each_other_say_nothing() -> None:
    flags = {"earthsearch:boa_offset_applied": True, "sentinel:boa_offset_applied": False}
    assert scale_of(stac_item(offset=-0.1, **flags)).basis == "stated"


@pytest.mark.parametrize("value", ["04.00", 4.0, 4, "N0400", "05.11", 5.1])
@pytest.mark.parametrize("name", ["s2", "sentinel", "earthsearch"])
def test_a_baseline_decides_where_no_offset_is_stated(name: str, value: object) -> None:
    scale = scale_of(stac_item(offset=None, **{f"{name}:processing_baseline": value}))
    assert (scale.scale, scale.offset, scale.basis) == (1e-4, -0.1, "baseline")
    assert scale.why.startswith("states no offset, but processing baseline 0")
    assert scale.why.endswith(": 0.1 of reflectance was taken off")


@pytest.mark.parametrize(
    ("properties", "offset"),
    [
        ({"s2:product_uri": f"{PRODUCT}.SAFE"}, -0.1),
        ({"s2:product_uri": PRODUCT.replace("N0510", "N0301")}, 0.0),
        ({"sentinel:product_id": PRODUCT}, -0.1),
        ({"processing:version": "05.10"}, -0.1),
        ({"processing:version": "03.01"}, 0.0),
        ({"s2:processing_baseline": None, "s2:product_uri": PRODUCT}, -0.1),
        ({"s2:processing_baseline": "n/a", "sentinel:product_id": PRODUCT}, -0.1),
        ({"s2:processing_baseline": "99.99", "s2:product_uri": PRODUCT}, -0.1),
    ],
)
def test_a_baseline_is_found_where_it_is_stated(
    properties: dict[str, object], offset: float
) -> None:
    scale = scale_of(stac_item(offset=None, **properties))
    assert (scale.offset, scale.basis) == (offset, "baseline")


def test_a_baseline_in_the_id_or_in_the_files_counts() -> None:
    assert scale_of(stac_item(name=PRODUCT, offset=None)).offset == -0.1
    item = stac_item(offset=None)
    assert scale_of(item).basis == "nothing"
    item["assets"]["red"]["href"] = f"https://files.example/{PRODUCT}.SAFE/GRANULE/B04.tif"
    assert scale_of(item).offset == -0.1


@pytest.mark.parametrize("version", ["v2025.06.17", "1.2", 5.1, "5.1", None])
def test_any_version_is_no_baseline(version: object) -> None:
    scale = scale_of(stac_item(offset=None, **{"processing:version": version}))
    assert scale.basis == "nothing"
    assert "neither an offset nor a processing baseline" in scale.why


def test_baselines_that_contradict_each_other_are_told() -> None:
    said = {"s2:processing_baseline": "02.14", "s2:product_uri": PRODUCT}
    scale = scale_of(stac_item(offset=None, **said))
    assert (scale.offset, scale.basis) == (0.0, "baseline")
    assert "02.14 (and 05.10 elsewhere)" in scale.why


def test_a_scale_may_stand_in_several_places() -> None:
    item = stac_item(offset=None)
    red = item["assets"]["red"]
    red["bands"] = [{"name": "B04", "raster:scale": 2e-4, "raster:offset": -0.2}]
    assert scale_of(item) == BandScale(2e-4, -0.2, "stated")
    red["raster:scale"], red["raster:offset"] = "0.0001", "-0.1"
    assert scale_of(item) == BandScale(1e-4, -0.1, "stated")
    item = stac_item(offset=None, **{"s2:processing_baseline": "05.11"})
    item["assets"]["red"]["raster:bands"] = [{"scale": 0.0001, "offset": None}]
    assert (scale_of(item).offset, scale_of(item).basis) == (-0.1, "baseline")


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ({"scale": "n/a"}, "a scale of 'n/a', which is no number above 0"),
        ({"scale": 0}, "a scale of 0"),
        ({"scale": -0.0001}, "a scale of -0.0001"),
        ({"scale": [0.0001]}, r"a scale of \[0.0001\]"),
        ({"scale": True}, "a scale of True"),
        ({"scale": float("nan")}, "a scale of nan"),
        ({"offset": "-0,1"}, "an offset of '-0,1', which is no reflectance from -1 to 0"),
        ({"offset": -1000}, "an offset of -1000"),
        ({"offset": 0.1}, "an offset of 0.1"),
    ],
)
def test_what_sentinel_2_cannot_have_is_refused(stated: dict[str, object], says: str) -> None:
    item = stac_item(keys=NUMBERED, offset=None)
    item["assets"]["B04"]["raster:bands"] = [stated]
    with pytest.raises(ImageryError, match=f"^scene S2B_13TDE states {says}"):
        scene_of(item)
