"""``python -m indexer search``: ask where photos were taken."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import complain
from gair.errors import PhotoError
from indexer.arguments import add_index_choice, add_model_choice

if TYPE_CHECKING:
    from gair.photos import Photo
    from indexer.answer import Answer


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    search = commands.add_parser(
        "search",
        help="ask where photos were taken",
        description="Rank the places of an index for each photo. GPS tags are never used.",
    )
    search.set_defaults(run=run)
    search.add_argument("photo", nargs="+", metavar="PHOTO", help="a street-level photo")
    add_index_choice(search)
    search.add_argument("-k", type=int, default=5, help="places a photo (default: %(default)s)")
    search.add_argument(
        "--rs-weight", type=float, default=0.5, metavar="W", help="weight of the imagery"
    )
    search.add_argument(
        "--location-weight", type=float, default=0.5, metavar="W", help="weight of the location"
    )
    add_model_choice(search)
    search.add_argument("--json", action="store_true", help="print JSON, one object a photo")


def run(arguments: argparse.Namespace) -> int:
    """Search and print the answers; 1 if a photo could not be read."""
    from indexer.geolocate import PHOTOS_AT_ONCE, Geolocator

    geolocator = Geolocator.open(
        arguments.index, indexes_dir=arguments.indexes, model=arguments.model
    )
    results: list[Answer | PhotoError] = []
    for start in range(0, len(arguments.photo), PHOTOS_AT_ONCE):  # decoded photos are large
        opened = [_opened(path) for path in arguments.photo[start : start + PHOTOS_AT_ONCE]]
        answers = iter(
            geolocator.search(
                [photo for photo in opened if not isinstance(photo, PhotoError)],
                k=arguments.k,
                rs_weight=arguments.rs_weight,
                location_weight=arguments.location_weight,
            )
        )
        results += [p if isinstance(p, PhotoError) else next(answers) for p in opened]
    failed = [result for result in results if isinstance(result, PhotoError)]
    if arguments.json:
        print(json.dumps([_as_json(r, p) for r, p in zip(results, arguments.photo, strict=True)]))
    else:
        for result in results:
            if not isinstance(result, PhotoError):
                print("\n".join(answer_lines(result)))
    for failure in failed:
        complain(failure)
    if failed and len(results) > 1:
        print(f"{len(failed)} of {len(results)} photos could not be read", file=sys.stderr)
    return 1 if failed else 0


def _opened(path: str) -> Photo | PhotoError:
    from gair.photos import open_photo

    try:
        return open_photo(path)
    except PhotoError as error:
        return error


def _as_json(result: Answer | PhotoError, path: str) -> dict[str, Any]:
    if isinstance(result, PhotoError):
        return {"photo": Path(path).name, "error": str(result)}
    return result.to_dict()


def answer_lines(answer: Answer) -> list[str]:
    """An answer as lines for a terminal."""
    lines = [
        f"{answer.photo}: {len(answer.candidates)} places of {answer.cells_searched:,} cells in "
        f"{answer.index}",
        "  rank   latitude   longitude   score      rs  location  cell             merged  spread",
    ]
    for c in answer.candidates:
        lines.append(
            f"  {c.rank:4d}  {c.lat_deg:9.5f}  {c.lon_deg:10.5f}  {c.score:6.3f}  {c.rs_score:6.3f}"
            f"    {c.location_score:6.3f}  {c.h3_cell}  {c.merged_cells:6d}  {c.spread_m:4.0f} m"
        )
    if answer.photo_gps_lonlat_deg is not None:
        lon_deg, lat_deg = answer.photo_gps_lonlat_deg
        lines.append(f"  the photo carries coordinates ({lat_deg:.5f}, {lon_deg:.5f}); not used")
    lines += [f"  note: {warning}" for warning in answer.warnings]
    lines.append(f"  model {answer.model}, licence {answer.model_licence}; {answer.attribution}")
    return lines
