"""``python -m indexer explore``: places like a place, photos of a place, photos of one place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gair.command import add_command
from gair.coordinates.text import parse_coordinates
from gair.errors import UsageError
from gair.fields import option
from indexer.commands.arguments import IndexAndModel, PhotoReading
from indexer.probability.open_world import EVEN
from indexer.search.wording import by_luck, percent

if TYPE_CHECKING:
    from indexer.explore.compare import PhotoPair
    from indexer.explore.near_photos import NearPhotos
    from indexer.explore.similar import SimilarPlaces

_EPILOG = """\
examples:
  # places whose imagery looks like two places and not like a third
  python -m indexer explore --like 51.5033,-0.1196 --like 51.5080,-0.0760 \\
      --unlike 51.5313,-0.1570 --index london -k 20 --out like.geojson

  # the reference photos taken closest to a place, and those most like its imagery
  python -m indexer explore --photos-near 51.5033,-0.1196 --index london
  python -m indexer explore --photos-near 51.5033,-0.1196 --order likeness --index london

  # were two photos taken within 200 m of each other?
  python -m indexer explore --same-place a.jpg b.jpg --index london --prior-probability 0.1
"""
_WHAT = ("what to ask", "One of these; places are latitude, longitude as verify --at takes them.")


@dataclass(frozen=True, kw_only=True)
class Explore(IndexAndModel, PhotoReading):
    """Flags of ``explore``."""

    like: tuple[tuple[float, float], ...] = option(
        (), parse=parse_coordinates, metavar="LAT,LON", group=_WHAT
    )
    """Places that look like this one to the satellite; again for further examples."""
    unlike: tuple[tuple[float, float], ...] = option(
        (), parse=parse_coordinates, metavar="LAT,LON", group=_WHAT
    )
    """And not like this one; again for further counter-examples."""
    photos_near: tuple[float, float] | None = option(
        None, parse=parse_coordinates, many="word", metavar="LAT,LON", group=_WHAT
    )
    """The reference photos of a place."""
    same_place: tuple[str, ...] = option((), many="words", metavar="PHOTO", group=_WHAT)
    """Two photos: how likely were they taken within 200 m of each other?"""
    k: int = option(10, flags="-k")
    """Places or reference photos to list."""
    apart_m: float | None = option(None, metavar="M")
    """No place as near as this to an example of --like or --unlike, metres (default: twice the
    distance within which cells are one place)."""
    order: Literal["distance", "likeness"] = "distance"
    """Reference photos: those taken closest to the place first, or those most like its imagery."""
    prior_probability: float = option(EVEN, metavar="P")
    """That two photos were taken at one place, before they are looked at; 0.5 says that nothing is
    known of it."""
    out: Path | None = option(None, metavar="FILE")
    """Write places or reference photos: .geojson or .csv; a file that is there is replaced."""
    json: bool = False
    """Print JSON."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    add_command(
        commands,
        "explore",
        Explore,
        run,
        help="ask for places like a place, and for photos of one place",
        description="Explore an index by the vectors that are in it: places like some places and "
        "not like others, the reference photos of a place, and whether two photos are of one "
        "place. Words find nothing: the model has no tower for text.",
        epilog=_EPILOG,
    )


def run(options: Explore) -> int:
    """Ask, print and write."""
    similar = bool(options.like or options.unlike)
    if similar + (options.photos_near is not None) + bool(options.same_place) != 1:
        raise UsageError(
            "give one of --like (with --unlike, if you want), --photos-near and --same-place"
        )
    if options.same_place and options.out is not None:
        raise UsageError("--out is for places and reference photos: use --json for --same-place")
    explored: SimilarPlaces | NearPhotos | PhotoPair
    if options.same_place:
        explored = _pair(options)
        lines = pair_lines(explored)
    elif similar:
        explored = _similar(options)
        lines = similar_lines(explored)
    else:
        explored = _near(options)
        lines = near_lines(explored)
    if options.json:
        print(json.dumps(explored.to_dict()))
    else:
        print("\n".join([*lines, *(f"  note: {warning}" for warning in explored.warnings)]))
        print(f"  model {explored.model}, licence {explored.model_licence}")
    return 0


def _similar(options: Explore) -> SimilarPlaces:
    from indexer.explore.similar import similar_places

    _check_out(options)
    explored = similar_places(
        options.geolocator(runtime=options.runtime),
        options.like,
        options.unlike,
        k=options.k,
        apart_m=options.apart_m,
    )
    _write(explored, options)
    return explored


def _near(options: Explore) -> NearPhotos:
    from indexer.explore.near_photos import photos_near_place

    assert options.photos_near is not None
    _check_out(options)
    lon_deg, lat_deg = options.photos_near
    explored = photos_near_place(
        options.geolocator(runtime=options.runtime),
        lon_deg,
        lat_deg,
        k=options.k,
        order=options.order,
    )
    _write(explored, options)
    return explored


def _pair(options: Explore) -> PhotoPair:
    from indexer.explore.compare import compare_photos

    if len(options.same_place) != 2:
        raise UsageError(f"--same-place names {len(options.same_place)} photos: name two")
    photos = options.unread(options.same_place)
    if len(photos) != 2:
        raise UsageError(f"--same-place finds {len(photos)} photos: name two files")
    geolocator = options.geolocator(precision=options.precision, runtime=options.runtime)
    return compare_photos(geolocator, *photos, prior_probability=options.prior_probability)


def _check_out(options: Explore) -> None:
    if options.out is not None:
        from indexer.explore.files import check_explored_suffix

        check_explored_suffix(options.out)


def _write(explored: SimilarPlaces | NearPhotos, options: Explore) -> None:
    if options.out is not None:
        from indexer.explore.files import write_explored

        write_explored(explored, options.out)


def similar_lines(explored: SimilarPlaces) -> list[str]:
    """Similar places as lines for a terminal."""
    names = [
        f"{sign} {one.lat_deg:.5f}, {one.lon_deg:.5f}"
        for sign, examples in (("+", explored.like), ("-", explored.unlike))
        for one in examples
    ]
    lines = [
        f"{explored.index}: {len(explored.places)} places like {'; '.join(names)}",
        f"  of {explored.cells_compared:,} cells; {explored.cells_left_out:,} within "
        f"{explored.apart_m:,.0f} m of an example are left out; the median cell has "
        f"{explored.median_similarity:.3f}",
        "  rank   latitude   longitude  similarity  as similar  from example  cell",
    ]
    lines += [
        f"  {one.rank:4d}  {one.lat_deg:9.5f}  {one.lon_deg:10.5f}  {one.similarity:10.3f}  "
        f"{by_luck(one.as_similar_share):>10}  {one.distance_m:10,.0f} m  {one.h3_cell}"
        for one in explored.places
    ]
    kind = "mean cosine with the examples"
    kind += ", less that with the counter-examples" if explored.unlike else ""
    return [
        *lines,
        f"  similarity = {kind}; as similar = share of the cells that are at least as similar",
        *([f"  {explored.attribution}"] if explored.attribution else []),
    ]


def near_lines(explored: NearPhotos) -> list[str]:
    """Reference photos of a place as lines for a terminal."""
    kind = "closest to" if explored.order == "distance" else "most like the imagery at"
    lines = [
        f"{explored.index}: {len(explored.photos)} of {explored.photos_compared:,} reference "
        f"photos, {kind} {explored.lat_deg:.5f}, {explored.lon_deg:.5f}"
    ]
    for one in explored.photos:
        looks = None if one.heading_deg is None else f"looking to {one.heading_deg:.0f} deg"
        like = None
        if one.cosine is not None and one.as_like_share is not None:
            like = f"cosine {one.cosine:.3f}, {by_luck(one.as_like_share)} are as like"
        facts = (like, one.taken_on, looks, one.source, one.licence, one.attribution, one.link)
        told = "".join(f", {fact}" for fact in facts if fact)
        lines.append(f"  {one.rank:4d}  {one.distance_m:,.0f} m off{told}")
    if explored.median_cosine is None:
        return [*lines, "  no cell of the index holds the place, so no imagery was compared"]
    return [
        *lines,
        f"  cosine with the imagery there; the median photo {explored.median_cosine:.3f}",
    ]


def pair_lines(pair: PhotoPair) -> list[str]:
    """Two photos as lines for a terminal."""
    first, second = pair.photos
    lines = [f"{first} and {second}: cosine {pair.cosine:.3f}"]
    within = f"within {pair.radius_m:,.0f} m of each other"
    if pair.probability is None or pair.likelihood_ratio is None or pair.auroc is None:
        lines.append(f"  no chance that they were taken {within}: {pair.why}")
    else:
        from indexer.probability.evidence import ratio_in_words

        lines += [
            f"  {percent(pair.probability)} that they were taken {within}, {pair.given} (before "
            f"looking: {percent(pair.prior_probability)}; any two places of the index "
            f"{by_luck(pair.chance_level)})",
            f"  likelihood ratio {ratio_in_words(pair.likelihood_ratio)}: {pair.support}",
            f"  rests on {pair.pairs:,} pairs of {pair.places:,} places and {pair.other_pairs:,} "
            f"pairs of different places; of one of each, the first is more alike {pair.auroc:.0%} "
            "of the times",
        ]
    return [
        *lines,
        *(
            f"  SHA-256 {sha} {name}"
            for sha, name in zip(pair.photo_sha256, pair.photos, strict=True)
            if sha
        ),
    ]
