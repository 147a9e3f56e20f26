"""``python -m indexer search``: ask where photos were taken."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import complain
from gair.errors import PhotoError, UsageError
from indexer.commands.arguments import add_index_choice, add_model_choice

if TYPE_CHECKING:
    from gair.photos.photo import Photo
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator
    from indexer.search.prior import Prior
    from indexer.search.query import QueryFields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.search.answer import Answer


def answer_lines(answer: Answer) -> list[str]:
    """An answer as lines for a terminal."""
    name = ", ".join(answer.photos) or answer.photo
    likely = "  likely" if answer.calibrated else ""
    lines = [
        f"{name}: {len(answer.candidates)} places of {answer.cells_searched:,} cells in "
        f"{answer.index}",
        f"  rank{likely}   latitude   longitude   score      rs  location  cell             merged"
        "  spread",
    ]
    for c in answer.candidates:
        lon_deg, lat_deg = c.refined_lonlat_deg or (c.lon_deg, c.lat_deg)
        probability = "" if c.probability is None else f"  {c.probability:6.1%}"
        lines.append(
            f"  {c.rank:4d}{probability}  {lat_deg:9.5f}  {lon_deg:10.5f}  {c.score:6.3f}  "
            f"{c.rs_score:6.3f}    {c.location_score:6.3f}  {c.h3_cell}  {c.merged_cells:6d}  "
            f"{c.spread_m:4.0f} m"
        )
    lines += _belief_lines(answer)
    if answer.photo_gps_lonlat_deg is not None:
        lon_deg, lat_deg = answer.photo_gps_lonlat_deg
        lines.append(f"  the photo carries coordinates ({lat_deg:.5f}, {lon_deg:.5f}); not used")
    lines += [f"  note: {warning}" for warning in answer.warnings]
    lines.append(f"  model {answer.model}, licence {answer.model_licence}; {answer.attribution}")
    return lines


def _belief_lines(answer: Answer) -> list[str]:
    """How far to believe it, where that is known."""
    if not answer.calibrated:
        return []
    near = ", ".join(f"{c.radius_m:,.0f} m {c.probability:.0%}" for c in answer.confidence)
    lines = [f"  likely = within {answer.merge_radius_m:.0f} m; the best guess within {near}"]
    lines += [
        f"  {region['level']:.0%} region: {region['km2']:,.2f} km2 in {region['cells']:,} cells"
        for region in answer.regions
    ]
    if answer.prior:
        lines.append(f"  prior: {answer.prior}")
    if answer.membership is not None:
        m = answer.membership
        told = "" if m.miss_rate is None else f", {m.miss_rate:.0%} of foreign ones are"
        lines.append(
            f"  {'could be' if m.in_index else 'NOT'} from this index: {m.p_value:.1%} of its "
            f"photos look as strange (under {m.level:.0%} is not taken for one of it{told})"
        )
    return lines


_EPILOG = """\
examples:
  python -m indexer search photo.jpg --index london
  python -m indexer search front.jpg side.jpg --same-place --index london
  python -m indexer search photo.jpg --index london --within boroughs.geojson
  python -m indexer search photo.jpg --index london --where "water.share < 0.5" \\
      --table water=water.parquet
  python -m indexer search photo.jpg --index london --region 0.9 --geojson where.geojson
"""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    search = commands.add_parser(
        "search",
        help="ask where photos were taken",
        description="Rank the places of an index for each photo; in a calibrated index with their "
        "probabilities and with regions that hold the truth as often as they say. GPS tags are "
        "never used.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    search.set_defaults(run=run)
    search.add_argument("photo", nargs="+", metavar="PHOTO", help="a street-level photo")
    add_index_choice(search)
    add_model_choice(search)
    search.add_argument(
        "--store",
        metavar="ADDRESS",
        help="search vectors that export put elsewhere: milvus://PATH.db, milvus://HOST:PORT or "
        "milvus+tls://HOST:PORT; who asks, if the server wants to know, is the environment's "
        "MILVUS_TOKEN, an API key or USER:PASSWORD",
    )
    search.add_argument("-k", type=int, default=5, help="places a photo (default: %(default)s)")
    search.add_argument(
        "--same-place", action="store_true", help="the photos are of one place: one answer"
    )
    search.add_argument("--json", action="store_true", help="print JSON, one object an answer")
    search.add_argument(
        "--no-refine", action="store_true", help="cell centres only, nothing between them"
    )
    search.add_argument(
        "--region",
        type=float,
        default=0.9,
        metavar="P",
        help="how often the region of --geojson holds the truth (default: %(default)s)",
    )
    search.add_argument(
        "--geojson", metavar="FILE", help="write the region and the places of one answer"
    )
    _add_prior(search.add_argument_group("what is known before the photo is looked at"))
    weights = search.add_argument_group(
        "weights of your own", "instead of the calibrated ones; places then have no probabilities"
    )
    weights.add_argument("--rs-weight", type=float, metavar="W", help="of the imagery")
    weights.add_argument("--location-weight", type=float, metavar="W", help="of the location")


def _add_prior(group: Any) -> None:  # noqa: ANN401
    group.add_argument("--within", metavar="FILE", help="GeoJSON polygons that it was taken in")
    group.add_argument(
        "--where",
        metavar="SQL",
        help="a condition on cells: row, h3, lon_deg, lat_deg, area_m2, frame, or columns of "
        "--table",
    )
    group.add_argument("--weight", metavar="SQL", help="how likely a cell is: a number from 0 up")
    group.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="CSV or Parquet with a column h3, for SQL to use as NAME.column",
    )


def run(arguments: argparse.Namespace) -> int:
    """Search and print the answers; 1 if a photo could not be read."""
    from indexer.search.geolocator import Geolocator

    geolocator = Geolocator.open(
        arguments.index,
        indexes_dir=arguments.indexes,
        model=arguments.model,
        store=arguments.store,
    )
    query: QueryFields = {
        "k": arguments.k,
        "rs_weight": arguments.rs_weight,
        "location_weight": arguments.location_weight,
        "prior": _prior(geolocator, arguments),
        "refine": not arguments.no_refine,
    }
    if arguments.same_place:
        results: list[Answer | PhotoError]
        results = [geolocator.search(arguments.photo, same_place=True, **query)]
    else:
        results = _one_by_one(geolocator, arguments.photo, query)
    if arguments.geojson:
        _write_geojson(results, arguments)
    return _report(results, arguments)


def _prior(geolocator: Geolocator, arguments: argparse.Namespace) -> Prior | None:
    if not (arguments.within or arguments.where or arguments.weight):
        if arguments.table:
            raise UsageError(f"--table {arguments.table[0]} is not used: name it in --where")
        return None
    from indexer.search.prior import build_prior

    tables = {}
    for text in arguments.table:
        name, found, file = text.partition("=")
        if not found:
            raise UsageError(f"--table {text!r}: write NAME=FILE")
        tables[name] = Path(file)
    within = None if arguments.within is None else Path(arguments.within)
    return build_prior(
        geolocator.index,
        where=arguments.where,
        weight=arguments.weight,
        within=within,
        tables=tables,
    )


def _one_by_one(
    geolocator: Geolocator, paths: list[str], query: QueryFields
) -> list[Answer | PhotoError]:
    """An answer or an error for each photo."""
    from indexer.search.geolocator import PHOTOS_AT_ONCE

    results: list[Answer | PhotoError] = []
    for start in range(0, len(paths), PHOTOS_AT_ONCE):  # decoded photos are large
        opened = [_opened(path) for path in paths[start : start + PHOTOS_AT_ONCE]]
        sound = [photo for photo in opened if not isinstance(photo, PhotoError)]
        answers = iter(geolocator.search(sound, **query))
        results += [p if isinstance(p, PhotoError) else next(answers) for p in opened]
    return results


def _report(results: list[Answer | PhotoError], arguments: argparse.Namespace) -> int:
    failed = [result for result in results if isinstance(result, PhotoError)]
    if arguments.json:
        named = zip(results, arguments.photo, strict=not arguments.same_place)
        print(json.dumps([_as_json(result, path) for result, path in named]))
    else:
        for result in results:
            if not isinstance(result, PhotoError):
                print("\n".join(answer_lines(result)))
    for failure in failed:
        complain(failure)
    if failed and len(results) > 1:
        print(f"{len(failed)} of {len(results)} photos could not be read", file=sys.stderr)
    return 1 if failed else 0


def _write_geojson(results: list[Answer | PhotoError], arguments: argparse.Namespace) -> None:
    """The region and the places of the only answer."""
    from gair.files import write_whole

    if len(results) != 1 or isinstance(results[0], PhotoError):
        raise UsageError("--geojson is for one answer: name one photo, or add --same-place")
    answer = results[0]
    places = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [c.lon_deg, c.lat_deg]},
            "properties": {"rank": c.rank, "score": c.score, "probability": c.probability},
        }
        for c in answer.candidates
    ]
    features = [answer.region(arguments.region).to_geojson(), *places]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    write_whole(Path(arguments.geojson), text.encode())


def _opened(path: str) -> Photo | PhotoError:
    from gair.photos.photo import open_photo

    try:
        return open_photo(path)
    except PhotoError as error:
        return error


def _as_json(result: Answer | PhotoError, path: str) -> dict[str, Any]:
    if isinstance(result, PhotoError):
        return {"photo": Path(path).name, "error": str(result)}
    return result.to_dict()
