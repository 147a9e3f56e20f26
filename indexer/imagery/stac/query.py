"""Search of a STAC catalogue: the question, its items, and refusals in one line.

A catalogue is asked once, when the imagery is opened: for all scenes of a collection that show an
area between two dates with few clouds. Pixels are another matter (:mod:`.windows`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from gair.errors import GairError, ImageryError, UsageError
from gair.fields import option
from gair.http import Patience
from indexer.imagery.options import Composite
from indexer.imagery.stac.items import RawItem, cloud_percent, item_name, objects

if TYPE_CHECKING:
    from pystac_client import Client
    from pystac_client.stac_api_io import StacApiIO
    from shapely.geometry import MultiPolygon, Polygon

EARTH_SEARCH = "https://earth-search.aws.element84.com/v1"
COLLECTION = "sentinel-2-c1-l2a"
"""Level-2A of Earth Search's Collection 1. The older ``sentinel-2-l2a`` beside it has scenes whose
metadata is wrong about the offset (https://github.com/Element84/earth-search/issues/71)."""

PACKAGES = {"pystac_client": "pystac-client", "odc.stac": "odc-stac"}
"""Modules, and the packages they come in."""

_PAGE = 100  # items an answer
_RETRIED = (429, 500, 502, 503, 504)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class StacQuery:
    """Which scenes to build from."""

    dates: str = option("", metavar="FROM/TO")
    """Days as YYYY-MM-DD, both included (default: the last twelve calendar months)."""
    url: str = option(EARTH_SEARCH, flags=None)
    """Of the catalogue."""
    collection: str = option(COLLECTION, flags="--stac-collection", metavar="ID")
    """Of Sentinel-2 Level-2A."""
    max_cloud: float = option(20.0, metavar="PERCENT")
    """Leave out scenes with more clouds, per cent of the whole scene."""
    composite: Composite = option("median", flags=None)
    """Of the dates of a place: their median, or for each pixel the best one."""
    dates_a_place: int = option(4, flags="--dates-per-place")
    """Least cloudy dates that every place is made from; where clouds hide the ground on all of
    them, up to twice as many more are looked at."""
    spare_dates: int = option(8, flags=None)
    """Further dates, one by one, where clouds hide the ground on all of those."""
    patience: Patience = option(factory=Patience, flags=None)

    def __post_init__(self) -> None:
        if not self.dates:
            object.__setattr__(self, "dates", last_twelve_months(datetime.now(UTC).date()))
        check_dates(self.dates)
        if not 0 < self.max_cloud <= 100:
            raise UsageError(f"`max_cloud` {self.max_cloud:g} is not above 0 and at most 100")
        if self.dates_a_place < 1 or self.spare_dates < 0:
            raise UsageError(
                f"`dates_a_place` {self.dates_a_place} is not at least 1: the paper's median "
                "wants a few, 4 is the default"
            )


def require_packages() -> None:
    """Check that what catalogues are read with is installed.

    Raises:
        ImageryError: It is not.
    """
    if missing := [package for module, package in PACKAGES.items() if not _installed(module)]:
        raise ImageryError(
            f"imagery from a catalogue needs {' and '.join(missing)}: pip install "
            "'gair-geolocator[stac]', or give local files with `imagery`"
        )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def last_twelve_months(today: date) -> str:
    """The twelve calendar months before this one; the same all month, so that builds resume."""
    last = today.replace(day=1) - timedelta(days=1)
    first = today.replace(day=1, year=today.year - 1)
    return f"{first.isoformat()}/{last.isoformat()}"


def check_dates(text: str) -> None:
    """Check days as :attr:`StacQuery.dates` has them.

    Raises:
        UsageError: It is not two days in order.
    """
    days = text.split("/")
    try:
        if len(days) != 2 or not all(_DAY.fullmatch(day) for day in days):
            raise ValueError("two days with a slash between are needed")
        first, last = (date.fromisoformat(day) for day in days)
        if first > last:
            raise ValueError("the first is after the last")
    except ValueError as error:
        raise UsageError(
            f"`dates` {text!r}: {error}; give FROM/TO, for example 2025-04-01/2025-09-30"
        ) from error


def search(query: StacQuery, area: Polygon | MultiPolygon, name: str) -> list[RawItem]:
    """All scenes of the query that show an area, and those that do not state their clouds.

    Args:
        query: what to ask, and whom.
        area: longitude, latitude; the catalogue is asked for its bounding box, one on each side of
            the antimeridian.
        name: what to call the area in errors.

    Returns:
        Items as JSON, sorted by id, each once.

    Raises:
        ImageryError: The catalogue cannot be reached, is none, lacks the collection, or has no
            such scene.
    """
    # pystac warns of extensions that it cannot bring up to date, of which none is used here.
    with _refusals(query), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client, io = _open(query)
        _require_collection(client, io, query)
        boxes = _boxes(area)
        items = _items(client, query, boxes, query.max_cloud)
        if not items:
            raise _nothing(query, boxes, name, _items(client, query, boxes, 100.0))
    return items


def _open(query: StacQuery) -> tuple[Client, StacApiIO]:
    from pystac_client import Client
    from pystac_client.errors import ClientTypeError
    from pystac_client.stac_api_io import StacApiIO
    from urllib3.util.retry import Retry

    retry = Retry(
        total=query.patience.tries - 1,
        backoff_factor=query.patience.first_pause_s,
        status_forcelist=_RETRIED,
        allowed_methods=None,  # a search is a POST that changes nothing
    )
    io = StacApiIO(max_retries=retry)
    try:
        client = Client.open(query.url, stac_io=io, timeout=query.patience.silence_s)
    except ClientTypeError as error:
        raise _no_root(query, io.read_json(query.url)) from error
    if client.get_single_link("search") is None and not client.conforms_to("ITEM_SEARCH"):
        raise _no_root(query, client.to_dict(transform_hrefs=False))
    return client, io


def _no_root(query: StacQuery, document: Mapping[str, Any]) -> ImageryError:
    """What to pass instead of the URL of a collection, an item, or a catalogue of files."""
    roots = [link for link in objects(document.get("links")) if link.get("rel") == "root"]
    root = next((urljoin(query.url, str(link.get("href"))) for link in roots), "")
    kind = document.get("type")
    if kind == "Catalog" and root.rstrip("/") in ("", query.url.rstrip("/")):
        return ImageryError(
            f"{query.url} is a static catalogue, which cannot be searched: pass the URL of a STAC "
            f"API, such as {EARTH_SEARCH}, or download its files and give their folder"
        )
    root = root if root.rstrip("/") != query.url.rstrip("/") else ""
    root = root or re.sub(r"/collections(/.*)?$", "", query.url)
    named = {"Collection": "a collection", "Feature": "an item", "Catalog": "a part of a catalogue"}
    remedy = f"pass stac:{root}" if root != query.url else "pass the URL of the API's root"
    if kind == "Collection":
        remedy += f" and the `collection` {document.get('id')}"
    return ImageryError(
        f"{query.url} is the URL of {named.get(str(kind), 'something else')}, not of a STAC API: "
        f"{remedy}"
    )


def _require_collection(client: Client, io: StacApiIO, query: StacQuery) -> None:
    from pystac_client.exceptions import APIError

    link = client.get_single_link("data")
    url = f"{query.url.rstrip('/')}/collections" if link is None else link.absolute_href
    try:
        listed = [c for page in io.get_pages(url) for c in objects(page.get("collections"))]
    except APIError as error:
        if error.status_code == 404:  # it lists none, and may have it all the same
            return
        raise
    names = sorted(item_name(collection) for collection in listed)
    if query.collection not in names:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise ImageryError(
            f"{query.url} has no collection {query.collection!r}; it has: {shown or 'none'}. "
            "Pass a `collection` of Sentinel-2 Level-2A"
        )


def _items(
    client: Client, query: StacQuery, boxes: list[list[float]], max_cloud: float
) -> list[RawItem]:
    """Matching items; ``max_cloud`` is also checked here, for not every catalogue can filter.

    At 100 no filter is sent: it would drop what does not state its clouds.
    """
    filters: dict[str, Any] = {}
    if max_cloud < 100 and client.conforms_to("QUERY"):
        filters["query"] = {"eo:cloud_cover": {"lte": max_cloud}}
    items: dict[str, RawItem] = {}
    for box in boxes:
        pages = client.search(
            collections=[query.collection], bbox=box, datetime=query.dates, limit=_PAGE, **filters
        )
        for page in pages.pages_as_dicts():
            items |= {item_name(item): item for item in objects(page.get("features"))}
    percents = {name: cloud_percent(item) for name, item in items.items()}
    return [
        item
        for name, item in sorted(items.items())
        if (percent := percents[name]) is None or percent <= max_cloud
    ]


def _boxes(area: Polygon | MultiPolygon) -> list[list[float]]:
    """One bounding box, or one for each side of the antimeridian."""
    west, _, east, _ = area.bounds
    if east - west < 180:
        return [list(area.bounds)]
    import shapely

    parts = shapely.get_parts(area)
    sides = [[p for p in parts if p.bounds[0] < 0], [p for p in parts if p.bounds[0] >= 0]]
    return [list(map(float, shapely.total_bounds(side))) for side in sides if side]


def _nothing(
    query: StacQuery, boxes: list[list[float]], name: str, cloudy: list[RawItem]
) -> ImageryError:
    box = " and ".join(",".join(f"{v:.3f}" for v in box) for box in boxes)
    nothing = (
        f"no scene of {query.collection} at {query.url} shows {name} (bbox {box}) from "
        f"{query.dates.replace('/', ' to ')} with at most {query.max_cloud:g} % of clouds"
    )
    if not cloudy:
        return ImageryError(f"{nothing}, nor with more: widen `dates`, or check the region")
    stated = [percent for item in cloudy if (percent := cloud_percent(item)) is not None]
    if not stated:
        return ImageryError(
            f"{nothing}: its {len(cloudy)} scenes do not state their clouds (eo:cloud_cover); pass "
            "`max_cloud` 100 to take them as they are"
        )
    best = min(stated)
    return ImageryError(
        f"{nothing}; {len(cloudy)} are cloudier, the clearest has {best:.0f} %: raise `max_cloud`, "
        "or widen `dates`"
    )


@contextmanager
def _refusals(query: StacQuery) -> Iterator[None]:
    """Whatever a catalogue answers, or does not, as an :class:`ImageryError`."""
    import requests
    from pystac.errors import STACError
    from pystac_client.exceptions import APIError

    try:
        yield
    except (requests.ConnectionError, requests.Timeout) as error:
        raise _unreachable(query, error) from error
    except GairError:
        raise
    # Whatever it answers goes through two libraries that take its form for granted.
    except Exception as error:
        told = isinstance(error, APIError | STACError | requests.RequestException)
        reason = " ".join(str(error).split())[:200] if told else "its answer is no STAC JSON"
        if (status := getattr(error, "status_code", None)) in _RETRIED or "Max retries" in reason:
            raise _unreachable(query, status or error) from error
        raise ImageryError(
            f"{query.url} does not answer as a STAC API ({reason}): check the URL after "
            "stac:, it is the one of the catalogue's root"
        ) from error


def _unreachable(query: StacQuery, error: object) -> ImageryError:
    reason = " ".join(str(error).split())
    if isinstance(error, int):
        reason = f"it keeps answering with status {error}"
    elif "timed out" in reason.lower():
        reason = f"no answer within {query.patience.silence_s:g} s"
    elif "refused" in reason.lower():
        reason = "the connection was refused"
    elif "resolve" in reason.lower() or "name or service" in reason.lower():
        reason = "its name cannot be resolved; is there a network?"
    elif "too many" in reason.lower():
        reason = reason[reason.lower().index("too many") :].rstrip(")'\"")
    elif "remote" in reason.lower() or "reset" in reason.lower():
        reason = "it hung up without an answer"
    return ImageryError(
        f"cannot reach the catalogue {query.url} ({reason[:160]}), tried {query.patience.tries} "
        "times: try again later, or give local files with `imagery`"
    )
