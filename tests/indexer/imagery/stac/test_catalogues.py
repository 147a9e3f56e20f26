"""Catalogues of other makes, from their answers to the pixels: flags, baselines, bad scenes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from file_server import Served, serving
from json_server import Answers, answering, collections, stac_root
from repository import REPOSITORY
from stac_items import NUMBERED
from stac_world import (
    ASSETS,
    COLLECTION,
    FRAME,
    HASTE,
    REGION,
    SHAPE,
    World,
    brighter,
    publish,
    resampled,
    scene,
    toy_pixels,
)

from gair.errors import BandError, GairError, ImageryError
from indexer.imagery.stac.imagery import StacImagery, open_stac
from indexer.imagery.stac.query import StacQuery

DAYS = ("2024-06-01", "2024-06-11", "2024-06-21", "2024-07-01")
Items = list[dict[str, Any]]


class Catalogue:
    """Answers and files, both on loopback."""

    def __init__(self, folder: Path, answers: Answers, files: Served) -> None:
        self.folder, self.answers, self.files = folder, answers, files
        self.items: Items = []
        self.dn = toy_pixels()
        answers.by_path["/"] = stac_root(answers.url)
        answers.by_path["/collections"] = collections(COLLECTION)

    def add(self, day: str, *, higher: int, offset: float | None, **properties: object) -> None:
        """Publish a scene; its pixels are stored so much higher, whatever its item says."""
        made = scene(f"S2_{day}", day, self.dn, stored_higher=higher, offset=offset or 0.0)
        item = publish(made, self.folder / "cogs", self.files.url)
        item["properties"] |= properties
        if offset is None:
            for asset in item["assets"].values():
                asset.pop("raster:bands", None)
        self.items.append(item)
        self.higher = higher

    @property
    def right(self) -> np.ndarray[Any, Any]:
        """(10, H, W) what the frame is to hold, from the files of the last scene."""
        name = self.items[-1]["id"] if isinstance(self.items[-1], dict) else self.items[0]["id"]
        # It takes 1,000 off itself.
        return resampled(cast(World, self), name) + np.float32(1000 - self.higher)

    def open(self, **changes: object) -> StacImagery:
        self.answers.by_path["/search"] = {
            "type": "FeatureCollection", "features": self.items, "links": [],
        }  # fmt: skip
        query: dict[str, Any] = {"url": self.answers.url, "patience": HASTE, **changes}
        return open_stac(
            REGION, StacQuery("2024-05-01/2024-07-31", **query), cache=self.folder / "cache"
        )

    def error_dn(self) -> tuple[float, tuple[str, ...], dict[str, Any]]:
        """Median error of what is read, in digital numbers; warnings; what the manifest says."""
        with self.open() as imagery:
            frame = imagery.read(FRAME, SHAPE)
            assert frame.valid.all()
            return (
                float(np.median(frame.dn - self.right)),
                imagery.warnings,
                imagery.describe(),
            )


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    (tmp_path / "cogs").mkdir()
    with answering() as answers, serving(tmp_path / "cogs") as files:
        yield Catalogue(tmp_path, answers, files)


def test_a_flag_that_the_offset_was_taken_off_is_believed(catalogue: Catalogue) -> None:
    for day in DAYS:
        flag = {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.09"}
        catalogue.add(day, higher=0, offset=-0.1, **flag)
    error, warnings, told = catalogue.error_dn()
    assert abs(error) < 30
    assert warnings == ()
    assert [s["offset"] for s in told["scenes"]] == [[0.0]] * 4
    assert {s["offset_from"] for s in told["scenes"]} == {"the flag boa_offset_applied"}


@pytest.mark.parametrize("brighter_dn", [0, 1500])
@pytest.mark.parametrize("liars", [0, 2, 3])
def test_flags_of_both_kinds_are_all_read_rightly(
    catalogue: Catalogue, liars: int, brighter_dn: int
) -> None:
    """False and right, true and right; and false where the pixels were corrected all the same.

    Bright ground shows nothing by itself: there the one flagged scene outweighs all that lie.
    """
    catalogue.dn = brighter(catalogue.dn, brighter_dn)
    for number, day in enumerate(DAYS):
        flag = number == 3
        higher = 0 if flag or number < liars else 1000
        catalogue.add(day, higher=higher, offset=-0.1, **{"earthsearch:boa_offset_applied": flag})
    error, warnings, _ = catalogue.error_dn()
    assert abs(error) < 30
    left_out = {w.split()[2] for w in warnings if "was left out" in w}
    assert left_out == {f"S2_{day}" for day in DAYS[:liars]}


@pytest.mark.parametrize("old", [0, 1, 2, 4])
def test_dates_of_two_scales_are_read_alike(catalogue: Catalogue, old: int) -> None:
    for number, day in enumerate(DAYS):
        baseline = "03.01" if number < old else "05.11"
        higher = 0 if number < old else 1000
        catalogue.add(day, higher=higher, offset=None, **{"s2:processing_baseline": baseline})
        item = catalogue.items[-1]
        item["assets"] = {NUMBERED[name]: item["assets"][key] for name, key in ASSETS.items()}
    error, warnings, told = catalogue.error_dn()
    assert abs(error) < 30
    noted = [w for w in warnings if "states no offset, but processing baseline 05.11" in w]
    assert len(noted) == len(warnings) == (1 if old < 4 else 0)
    assert sorted(s["offset"][0] for s in told["scenes"]) == [-0.1] * (4 - old) + [0.0] * old


def test_nothing_stated_is_said(catalogue: Catalogue) -> None:
    catalogue.add(DAYS[0], higher=0, offset=None)
    error, (warning,), told = catalogue.error_dn()
    assert abs(error) < 30
    assert warning == (
        f"S2_{DAYS[0]} states neither an offset nor a processing baseline: none was taken off."
    )
    assert told["scenes"][0]["offset_from"] == "nothing: none is stated"


def no_scl(item: dict[str, Any]) -> None:
    del item["assets"]["scl"]


def no_grid(item: dict[str, Any]) -> None:
    for asset in item["assets"].values():
        del asset["proj:transform"]


def no_file(item: dict[str, Any]) -> None:
    item["assets"]["blue"]["href"] += ".gone"


def no_coarse_file(item: dict[str, Any]) -> None:
    item["assets"]["swir16"]["href"] += ".gone"


def no_classification_file(item: dict[str, Any]) -> None:
    item["assets"]["scl"]["href"] += ".gone"


def no_server(item: dict[str, Any]) -> None:
    item["assets"]["green"]["href"] = "GRANULE/B03.tif"  # counts from an address that is not given


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (no_scl, "it lacks SCL"),
        (no_grid, "it does not say where its pixels lie (no proj:transform)"),
        (lambda i: i["properties"].update(datetime=None), "it has no date"),
        (lambda i: i["properties"].pop("eo:cloud_cover"), "it does not state its clouds"),
        (lambda i: i.update(geometry={"type": "Point", "coordinates": [-0.1, 51.5]}),
         "it has a geometry without area"),
        (lambda i: i["assets"]["red"].update({"raster:bands": [{"scale": "n/a"}]}),
         "it states a scale of 'n/a'"),
        (no_file, "404"),
        (no_coarse_file, "404"),
        (no_classification_file, "404"),
        (no_server, "the address of B3, GRANULE/B03.tif, is relative to none"),
    ],
)  # fmt: skip
def test_a_bad_scene_is_left_out_and_named(
    catalogue: Catalogue, damage: Callable[[dict[str, Any]], None], reason: str
) -> None:
    for day in DAYS[:3]:
        catalogue.add(day, higher=1000, offset=-0.1)
    damage(catalogue.items[1])
    error, (warning,), told = catalogue.error_dn()
    assert abs(error) < 30
    assert warning.startswith(f"The scene S2_{DAYS[1]} was left out: ")
    assert reason in warning
    assert "tried" not in warning
    if "left_out" in told:  # what the catalogue's answer shows, before any pixel is read
        assert [each["name"] for each in told["left_out"]] == [f"S2_{DAYS[1]}"]
        assert reason in told["left_out"][0]["reason"]


def test_where_none_is_left_the_reason_is_said(catalogue: Catalogue) -> None:
    for day in DAYS[:2]:
        catalogue.add(day, higher=1000, offset=-0.1)
        no_scl(catalogue.items[-1])
    with pytest.raises(
        BandError, match=r"^scene S2_2024-06-01 lacks SCL .*; nor can 1 more be read"
    ):
        catalogue.open()


def test_what_is_odd_but_not_needed_is_no_obstacle(catalogue: Catalogue) -> None:
    catalogue.add(DAYS[0], higher=1000, offset=-0.1)
    item = catalogue.items[0]
    item["assets"]["aot"] = {"href": "x.tif", "eo:bands": ["AOT"]}
    item["assets"]["odd"] = "text"
    item["assets"]["red"] |= {"file:size": "12 MB", "eo:bands": ["red"], "roles": None, "type": 5}
    item["stac_extensions"] = [None, "https://stac-extensions.github.io/storage/v1.0.0/schema.json"]
    item["links"] = [{"href": 5}, "text"]
    item |= {"bbox": "none", "stac_version": None}
    catalogue.items += [None, "text", []]  # type: ignore[list-item]
    error, warnings, _ = catalogue.error_dn()
    assert abs(error) < 30
    assert warnings == ()


@pytest.mark.parametrize(
    "answer",
    [
        [], [{}], None, 5, "", "<html>no</html>", {"type": "FeatureCollection"},
        {"features": None}, {"features": {}}, {"features": [1]}, {"features": "text"},
        {"features": [{}], "links": None}, {"features": [{}], "links": [{}]},
        {"features": [{}], "links": [{"rel": "next"}]}, {"features": [{"id": None}], "links": [5]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/search", "/collections", "/"])
def test_odd_answers_end_in_one_line(catalogue: Catalogue, path: str, answer: object) -> None:
    query = StacQuery("2024-05-01/2024-07-31", url=catalogue.answers.url, patience=HASTE)
    catalogue.answers.by_path["/search"] = {"features": [], "links": []}
    catalogue.answers.by_path[path] = answer
    with pytest.raises(ImageryError) as caught:
        open_stac(REGION, query, cache=catalogue.folder / "cache")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_addresses_within_a_catalogue_name_its_root(catalogue: Catalogue) -> None:
    answers, listed = catalogue.answers, collections(COLLECTION)["collections"]
    assert isinstance(listed, list)
    (of_list,) = listed
    answers.by_path[f"/collections/{COLLECTION}"] = of_list
    answers.by_path["/elsewhere"] = of_list | {"links": [{"rel": "root", "href": answers.url}]}
    for path in (f"/collections/{COLLECTION}", "/elsewhere"):
        with pytest.raises(ImageryError) as caught:
            catalogue.open(url=answers.url + path)
        assert str(caught.value) == (
            f"{answers.url}{path} is the URL of a collection, not of a STAC API: pass "
            f"stac:{answers.url} and the `collection` {COLLECTION}"
        )
    answers.by_path["/item"] = {"type": "Feature", "id": "x", "links": []}
    with pytest.raises(
        ImageryError, match="is the URL of an item, not of a STAC API: pass the URL"
    ):
        catalogue.open(url=f"{answers.url}/item")


def test_a_catalogue_of_files_is_called_that(catalogue: Catalogue) -> None:
    root = stac_root(catalogue.answers.url)
    del root["conformsTo"]
    catalogue.answers.by_path["/"] = root | {"links": [{"rel": "child", "href": "./s2.json"}]}
    with pytest.raises(ImageryError) as caught:
        catalogue.open()
    text = str(caught.value)
    assert text.startswith(
        f"{catalogue.answers.url} is a static catalogue, which cannot be searched"
    )
    assert "https://earth-search.aws.element84.com/v1" in text


def test_clouds_that_no_scene_states_are_the_reason(catalogue: Catalogue) -> None:
    catalogue.add(DAYS[0], higher=1000, offset=-0.1)
    del catalogue.items[0]["properties"]["eo:cloud_cover"]
    with pytest.raises(ImageryError, match="does not state its clouds .*: pass `max_cloud` 100"):
        catalogue.open()
    catalogue.answers.by_path["/"] = stac_root(catalogue.answers.url, "item-search#query")
    with catalogue.open(max_cloud=100.0) as imagery:
        assert imagery.read(FRAME, SHAPE).valid.all()
    # A filter would have the server drop what does not state its clouds.
    assert "query" not in catalogue.answers.posted[-1]
    with pytest.raises(ImageryError, match="does not state its clouds"):
        catalogue.open(max_cloud=50.0)
    assert catalogue.answers.posted[-1]["query"] == {"eo:cloud_cover": {"lte": 50.0}}


def test_no_python_warning_reaches_a_user(catalogue: Catalogue) -> None:
    """Items as the default collection has them, whose extension pystac cannot bring up to date."""
    catalogue.add(DAYS[0], higher=1000, offset=-0.1, **{"storage:platform": "AWS"})
    item = catalogue.items[0]
    item["stac_extensions"].append("https://stac-extensions.github.io/storage/v1.0.0/schema.json")
    item["properties"]["storage:region"] = "us-west-2"
    with contextlib.suppress(GairError):
        catalogue.open().close()  # publishes the answer
    program = (
        "import sys, json; from pathlib import Path\n"
        "from gair.geo import Footprint\n"
        "from indexer.imagery.stac.imagery import open_stac\n"
        "from indexer.imagery.stac.query import StacQuery\n"
        "from indexer.regions.region import region_from_bbox\n"
        f"query = StacQuery('2024-05-01/2024-07-31', url={catalogue.answers.url!r})\n"
        "region = region_from_bbox((-0.115, 51.5, -0.100, 51.51), name='riverside')\n"
        f"cache = Path({str(catalogue.folder / 'fresh')!r})\n"
        "with open_stac(region, query, cache=cache) as imagery:\n"
        "    square = Footprint.web_mercator_square((-0.1075, 51.505), 2446)\n"
        "    print(int(imagery.read(square, (153, 153)).valid.sum()))\n"
    )
    # rasterio multiplies affine 3 matrices the old way, odc-geo transforms shapes the old way; of
    # these Python shows nobody anything but whoever asks.
    quiet = [
        "-W",
        "default",
        "-W",
        "ignore::PendingDeprecationWarning",
        "-W",
        "ignore::DeprecationWarning",
    ]
    done = subprocess.run(
        [sys.executable, *quiet, "-c", program],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == SHAPE[0] * SHAPE[1]
    assert done.stderr == ""
