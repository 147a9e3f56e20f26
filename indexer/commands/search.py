"""``python -m indexer search``: ask where photos were taken."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from gair.command import add_command, complain
from gair.errors import PhotoError, UsageError
from gair.fields import option
from gair.photos.sun import EXAMPLE, parse_moment
from indexer.commands.arguments import Indexes, PhotoReading
from indexer.evaluate.options import WEIGHTS
from indexer.probability.cautions import coded
from indexer.probability.open_world import EVEN
from indexer.search.weights import weights_said
from indexer.search.wording import (
    by_luck,
    decision_kind,
    decision_said,
    elsewhere_said,
    likely_means,
    near_said,
    percent,
    percents,
    photo_said,
    square_km,
)

if TYPE_CHECKING:
    from gair.photos.photo import UnreadPhoto
    from indexer.search.answer import Answer, Candidate
    from indexer.search.geolocator import Geolocator
    from indexer.search.prior import Prior
    from indexer.search.query import QueryFields
_EPILOG = """\
examples:
  python -m indexer search photo.jpg --index london
  python -m indexer search front.jpg side.jpg --same-place --index london
  python -m indexer search photos/ "more/**/*.heic" --index london --json > answers.json
  curl -s https://example.org/photo.jpg | python -m indexer search - --index london
  python -m indexer search photo.jpg --index london --index kent
  python -m indexer search panorama.jpg --index london --heading 90
  python -m indexer search photo.jpg --index london --within boroughs.geojson
  python -m indexer search photo.jpg --index london --where "water.share < 0.5" \\
      --table water=water.parquet
  python -m indexer search photo.jpg --index london --region 0.9 --geojson where.geojson
  python -m indexer search photo.jpg --index london --max-error-rate 0.1 --within-m 500
"""
_PRIOR = "what is known before the photo is looked at"


def answer_lines(answer: Answer) -> list[str]:
    """An answer as lines for a terminal."""
    name = ", ".join(answer.photos) or answer.photo
    likely = f"  {'likely':>9}  {'95 %':>11}  any place" if answer.calibrated else ""
    ground = "" if answer.ground_weight is None else "  photos"
    lines = [
        f"{name}: {len(answer.candidates)} places of {answer.cells_searched:,} cells in "
        f"{answer.index}",
        f"  rank{likely}   latitude   longitude   score      rs  location{ground}  cell"
        "             merged  within",
    ]
    for c in answer.candidates:
        lon, lat = (f"{v:.{answer.decimals}f}" for v in c.shown_lonlat_deg)
        lines.append(
            f"  {c.rank:4d}{_chance(answer, c)}  {lat:>9}  {lon:>10}  {c.score:6.3f}  "
            f"{c.rs_score:6.3f}    {c.location_score:6.3f}{_ground(c)}  {c.h3_cell}  "
            f"{c.merged_cells:6d}  {c.merged_within_m:4.0f} m"
        )
    lines += _belief_lines(answer)
    for c in answer.candidates:
        lines += [f"  photo near place {c.rank}: {photo_said(near)}" for near in c.ground_photos]
    if answer.photo_gps_lonlat_deg is not None:
        lon_deg, lat_deg = answer.photo_gps_lonlat_deg
        lines.append(f"  the photo carries coordinates ({lat_deg:.5f}, {lon_deg:.5f}); not used")
    for photo, sha256 in zip(answer.photos, answer.photo_sha256, strict=False):
        lines += [f"  SHA-256 {sha256} {photo}"] * bool(sha256)
    lines += [f"  note: {warning}" for warning in answer.warnings]
    own = answer.rs_weight, answer.location_weight, answer.weights_by
    weights = weights_said(*own, answer.ground_weight or 0.0)
    lines.append(f"  weights: {weights}")
    by = "" if answer.runtime == "torch" else f" by {answer.runtime}"
    lines.append(
        f"  model {answer.model}{by}, licence {answer.model_licence}; {answer.attribution}"
    )
    return lines


def sun_lines(answer: Answer) -> list[str]:
    """Where the sun stood over each place of an answer, or why that is not known."""
    suns = answer.sun
    if suns.reason:
        return [f"  sun: {suns.said}; --taken-at {EXAMPLE} tells it"]
    each = zip(answer.candidates, suns.places, strict=True)
    return [f"  taken {suns.said}", *(f"  place {c.rank}: {sun.said}" for c, sun in each)]


def _ground(candidate: Candidate) -> str:
    """The column of what reference photos say of a place; empty where they have no weight."""
    return "" if candidate.ground_score is None else f"  {candidate.ground_score:6.3f}"


def _chance(answer: Answer, candidate: Candidate) -> str:
    """Columns of a place's chance; empty where nothing is calibrated."""
    if not answer.calibrated:
        return ""
    if candidate.probability is None or candidate.interval is None:
        return f"  {'-':>9}  {'-':>11}  {'-':>9}"
    luck = by_luck(candidate.chance_level or 0.0)
    return f"  {percent(candidate.probability):>9}  {percents(candidate.interval):>11}  {luck:>9}"


def _belief_lines(answer: Answer) -> list[str]:
    """How far to believe it, where that is known."""
    if not answer.calibrated:
        return []
    lines = [f"  {likely_means(answer, f'{answer.merge_radius_m:.0f} m')}"]
    near = [near_said(c, f"{c.radius_m:,.0f} m") for c in answer.confidence]
    lines += [f"  the best guess: {said}" for said in near]
    if answer.elsewhere is not None:
        lines.append(f"  {elsewhere_said(answer.elsewhere)}")
    lines += [
        f"  {region['level']:.0%} region: {square_km(region['km2'])} in {region['cells']:,} cells"
        f"{'' if region['promised'] else ', not promised'}"
        for region in answer.regions
    ]
    if answer.calibration is not None:
        lines.append(f"  rests on {answer.calibration.said}")
    if answer.decision is not None:
        kind = decision_kind(answer.decision, lambda metres: f"{metres:,.0f} m")
        lines.append(f"  decision: {kind}: {decision_said(answer.decision)}")
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


def _named_file(text: str) -> tuple[str, Path]:
    name, equals, file = text.partition("=")
    if not equals:
        raise UsageError(f"--table {text!r}: write NAME=FILE")
    return name, Path(file)


@dataclass(frozen=True, kw_only=True)
class Search(Indexes, PhotoReading):
    """Flags of ``search``."""

    index: tuple[str, ...] = option((), metavar="NAME")
    """Name or folder (default: the only one there is); again for a further one: each is asked, and
    an answer says which it is of. Its chances hold if the photo was taken there."""
    model: str | None = option(None, metavar="MODEL")
    """Where the model of the index is now."""
    photos: tuple[str, ...] = option(positional=True, metavar="PHOTO")
    """A street-level photo, a folder of them, a glob in quotes, or - for one that is piped in."""
    store: str | None = option(None, metavar="ADDRESS")
    """Search vectors that export put elsewhere: milvus://PATH.db, milvus://HOST:PORT or
    milvus+tls://HOST:PORT; who asks, if the server wants to know, is the environment's
    MILVUS_TOKEN, an API key or USER:PASSWORD."""
    k: int = option(5, flags="-k")
    """Places a photo."""
    same_place: bool = False
    """The photos are of one place, some 30 m across: one answer."""
    json: bool = False
    """Print JSON, one object an answer."""
    quiet: bool = False
    """No progress."""
    refine: bool = option(True, flags="--no-refine", help="cell centres only, nothing between them")
    elsewhere_prior: float = option(EVEN, metavar="P")
    """How likely it is, before a photo is looked at, that it was not taken in the index; 0.5 says
    that nothing is known of it."""
    condition: str | None = option(None, metavar="NAME")
    """What the photos were taken under, as the column condition of the calibration photos calls it,
    such as night (default: what each looks like)."""
    taken_at: str | None = option(None, metavar="TIME")
    """When the photos were taken, with the offset from UTC, such as 2024-06-01T14:30+01:00: says
    for each place where the sun stood, to check shadows by (default: what their files say)."""
    region: float = option(0.9, metavar="P")
    """How often the region of --geojson holds the truth."""
    geojson: Path | None = option(None, metavar="FILE")
    """Write the region and the places of one answer."""

    max_error_rate: float | None = option(None, metavar="P")
    """Answer only where at most this share of such answers is wrong: within --within-m, else in the
    smallest larger disc or region for which that holds, else not at all."""
    within_m: float = option(500.0, metavar="M")
    """An answer farther than this from the truth counts as wrong, metres."""

    within: Path | None = option(None, metavar="FILE", group=_PRIOR)
    """GeoJSON polygons that it was taken in."""
    where: str | None = option(None, metavar="SQL", group=_PRIOR)
    """A condition on cells: row, h3, lon_deg, lat_deg, area_m2, frame, or columns of --table."""
    weight: str | None = option(None, metavar="SQL", group=_PRIOR)
    """How likely a cell is: a number from 0 up."""
    table: tuple[tuple[str, Path], ...] = option(
        (), parse=_named_file, metavar="NAME=FILE", group=_PRIOR
    )
    """CSV or Parquet with a column h3, for SQL to use as NAME.column."""

    rs_weight: float | None = option(None, metavar="W", group=WEIGHTS)
    """Of the imagery (default, if the other is given: 1)."""
    location_weight: float | None = option(None, metavar="W", group=WEIGHTS)
    """Of the location (default, if the other is given: 0)."""
    ground_weight: float | None = option(None, metavar="W", group=WEIGHTS)
    """Of what reference photos say, a nat of theirs (default, if one of the others is given: 0)."""
    ground: bool = option(True, flags="--no-ground", help="search without reference photos")


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    add_command(
        commands,
        "search",
        Search,
        run,
        help="ask where photos were taken",
        description="Rank the places of an index for each photo; in a calibrated index with their "
        "probabilities and with regions that hold the truth as often as they say. GPS tags are "
        "never used.",
        epilog=_EPILOG,
    )


def run(options: Search) -> int:
    """Search and print the answers; 1 if a photo could not be read."""
    if options.taken_at is not None:
        parse_moment(options.taken_at)  # what makes no sense is told before the search
    photos = options.unread(options.photos)
    several = len(options.index) > 1
    if options.geojson is not None and (several or len(photos) > 1 and not options.same_place):
        raise UsageError(
            "--geojson is for one answer: name one index and one photo, or add --same-place"
        )
    if several and options.store is not None:
        raise UsageError("--store goes with one --index: name one")
    if several:
        photos = [_readable_again(photo) for photo in photos]
    opened = [_opened(name, options) for name in options.index or (None,)]
    results = itertools.chain.from_iterable(_asked(one, photos, options) for one in opened)
    return _printed(results, photos * len(opened), options)


def _readable_again(photo: UnreadPhoto) -> UnreadPhoto:
    """A photo that each index can read: standard input gives its bytes only once."""
    piped = photo.source is sys.stdin.buffer
    return replace(photo, source=sys.stdin.buffer.read()) if piped else photo


def _opened(name: str | None, options: Search) -> Geolocator:
    """An index with its model."""
    from indexer.search.geolocator import Geolocator

    return Geolocator.open(
        name,
        indexes_dir=options.indexes_dir,
        model=options.model,
        store=options.store,
        precision=options.precision,
        runtime=options.runtime,
    )


def _asked(
    geolocator: Geolocator, photos: Sequence[UnreadPhoto], options: Search
) -> Iterator[Answer | PhotoError]:
    """The answers of one index, or what is wrong with a photo."""
    query: QueryFields = {
        "k": options.k,
        "rs_weight": options.rs_weight,
        "location_weight": options.location_weight,
        "ground_weight": options.ground_weight if options.ground else 0.0,
        "prior": _prior(geolocator, options),
        "refine": options.refine,
        "elsewhere_prior": options.elsewhere_prior,
        "condition": options.condition,
        "max_error_rate": options.max_error_rate,
        "within_m": options.within_m,
        "taken_at": options.taken_at,
    }
    if options.same_place:
        return iter([geolocator.search(list(photos), same_place=True, **query)])
    return geolocator.search_each(photos, on_error="collect", **query)


def _prior(geolocator: Geolocator, options: Search) -> Prior | None:
    if not (options.within or options.where or options.weight):
        if options.table:
            table, file = options.table[0]
            raise UsageError(f"--table {table}={file} is not used: name it in --where")
        return None
    from indexer.search.prior import build_prior

    return build_prior(
        geolocator.index,
        where=options.where,
        weight=options.weight,
        within=options.within,
        tables=dict(options.table),
    )


def _printed(
    results: Iterator[Answer | PhotoError], photos: Sequence[UnreadPhoto], options: Search
) -> int:
    """Print answers as they come, and keep none; the exit status."""
    from gair.progress import Progress

    total = max(len(options.index), 1) if options.same_place else len(photos)
    failed = 0
    quiet = options.quiet or total == 1
    with Progress("search", total, "photo", quiet=quiet) as progress, _Printer(options) as printer:
        for result, photo in zip(results, photos, strict=not options.same_place):
            with progress.hidden():
                printer.put(result, photo)
                if isinstance(result, PhotoError):
                    complain(result)
                    failed += 1
                elif options.geojson is not None:
                    _write_geojson(result, options.geojson, options.region)
            progress.advance(1)
    if failed and total > 1:
        print(f"{failed} of {total} photos could not be read", file=sys.stderr)
    return 1 if failed else 0


class _Printer:
    """Prints answers one by one: as text, or as the members of one JSON list."""

    def __init__(self, options: Search) -> None:
        self._json = options.json
        self._before = "["

    def __enter__(self) -> Self:
        return self

    def put(self, result: Answer | PhotoError, photo: UnreadPhoto) -> None:
        """Print an answer; an error only in JSON."""
        if self._json:
            print(self._before + json.dumps(_as_json(result, photo.name)), end="", flush=True)
            self._before = ",\n"
        elif not isinstance(result, PhotoError):
            print("\n".join([*answer_lines(result), *sun_lines(result)]), flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        """End the list, also where the work was stopped: what was printed can be read."""
        nothing = self._before == "["
        if self._json and not (kind and nothing):
            print("[]" if nothing else "]", flush=True)


def _write_geojson(answer: Answer, file: Path, level: float) -> None:
    """The region and the places of an answer; the region that was decided on, if any."""
    from gair.files import write_whole

    places = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": list(c.shown_lonlat_deg)},
            "properties": {
                "rank": c.rank,
                "score": c.score,
                "rs_score": c.rs_score,
                "location_score": c.location_score,
                "ground_score": c.ground_score,
                "ground_photos": [dataclasses.asdict(photo) for photo in c.ground_photos],
                "probability": c.probability,
                "given": answer.given,
            },
        }
        for c in answer.candidates
    ]
    region = answer.decided_region or answer.region(level)
    features = [region.to_geojson({"given": answer.given}), *places]
    if (decided := answer.decision_geojson()) is not None:
        features.append(decided)
    elsewhere = None if answer.elsewhere is None else dataclasses.asdict(answer.elsewhere)
    weights = {
        name: getattr(answer, name) for name in ("rs_weight", "location_weight", "ground_weight")
    }
    decision = None if answer.decision is None else dataclasses.asdict(answer.decision)
    about = {"elsewhere": elsewhere, "warnings": coded(answer.warnings), "decision": decision}
    about |= weights
    text = json.dumps({"type": "FeatureCollection", **about, "features": features})
    write_whole(file, text.encode())


def _as_json(result: Answer | PhotoError, path: str) -> dict[str, Any]:
    if isinstance(result, PhotoError):
        return {"photo": path, "error": str(result)}
    return result.to_dict()
