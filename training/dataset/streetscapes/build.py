r"""Build of a data set from lists of photos.

::

    options = StreetscapesOptions(Lists(tables=(Path("streetscapes/"),)), Path("dataset"),
                                  imagery=(Path("sentinel2/"),))
    print("\n".join(build(options).lines))

A build that is killed goes on where it was when it is started again, with what has been fetched by
then; what it makes in the end is the same, byte for byte. Photos are packed only when all have
come, which asks nobody for anything; a manifest lists those that did, but for near duplicates.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from gair.errors import DownloadError, UsageError
from gair.files import write_whole
from gair.geo import EARTH_RADIUS_M
from indexer.regions.antimeridian import cut
from indexer.regions.cell_field import unit_vectors
from training.dataset.pack.dated_imagery import DatedImagery, FewDays, FrameSource
from training.dataset.pack.footprints import tile_squares
from training.dataset.pack.pack import pack_with
from training.dataset.pack.split import city_places
from training.dataset.pack.stac_frames import StacFrames
from training.dataset.shards.schema import DATASET_FILE, read_manifest
from training.dataset.streetscapes.card import write_card
from training.dataset.streetscapes.choosing import (
    begin,
    chosen,
    other_options,
    token,
    wanted_photos,
)
from training.dataset.streetscapes.fetch import (
    NOT_TO_BE_HAD,
    Fetched,
    PhotoFetcher,
    Wanted,
    alike,
    fetch_all,
)
from training.dataset.streetscapes.journal import Journal, Outcome, photo_path
from training.dataset.streetscapes.options import StreetscapesOptions
from training.dataset.streetscapes.providers import providers
from training.dataset.streetscapes.selection import Selection, lonlat_deg_of
from training.dataset.streetscapes.web import Web

NEAR_DUPLICATE = "looks like one beside it"
NEAR_M = 50.0
"""Photos further apart may look alike and still are two."""


def open_files(options: StreetscapesOptions) -> FrameSource:
    """The imagery of a build that is on this machine.

    Raises:
        ImageryError: it cannot be used.
        UsageError: there is none.
    """
    if not options.imagery:
        raise UsageError(
            "no imagery: pass Sentinel-2 files or folders with `imagery`, or `imagery` stac"
        )
    return FewDays(DatedImagery(options.imagery, options.reading), options.dates_per_footprint)


def open_catalogue(options: StreetscapesOptions, selection: Selection) -> FrameSource:
    """The imagery of a build that a catalogue has.

    Raises:
        ImageryError: the catalogue refuses, or has no such scene.
        UsageError: an option cannot work, or catalogues cannot be read here.
    """
    assert options.catalogue is not None
    places = grounds(options, selection)
    return StacFrames(
        places, options.catalogue, options.dates_per_footprint, options.work / "scenes"
    )


def grounds(options: StreetscapesOptions, selection: Selection) -> dict[str, BaseGeometry]:
    """The ground of the chosen photos' footprints by place, longitude and latitude."""
    table = selection.photos
    lonlat_deg = lonlat_deg_of(table)
    cities = table["city"].to_pylist()
    places = city_places(lonlat_deg, cities, options.split.join_km)
    squares: defaultdict[str, list[BaseGeometry]] = defaultdict(list)
    numbers = range(len(places))
    for square in tile_squares(numbers, lonlat_deg, places, options.footprint_m):
        corners = square.footprint.lonlat_deg([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        squares[square.place].append(cut(shapely.Polygon(corners)))
    return {place: shapely.union_all(parts) for place, parts in sorted(squares.items())}


FACTS = "streetscapes"
"""Key of what this module notes in ``dataset.json``, under ``facts``."""


@dataclass(frozen=True)
class BuildReport:
    """What became of the photos that were listed."""

    options: StreetscapesOptions
    candidates: int = 0
    chosen: int = 0
    fetched: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Before packing, by reason."""
    complaints: tuple[str, ...] = ()
    packed: tuple[str, ...] = ()
    """What packing reports."""
    was_complete: bool = False

    @property
    def lines(self) -> list[str]:
        """The report for a terminal."""
        if self.was_complete:
            return [f"data set {self.options.out} is complete: there is nothing to do"]
        lines = [
            f"data set {self.options.out}",
            f"listed: {self.candidates:,} photos, {self.chosen:,} chosen, {self.fetched:,} fetched",
            *(f"  {count:9,}  {reason}" for reason, count in self.left_out.most_common()),
        ]
        return [*lines, *self.packed]


def build(options: StreetscapesOptions) -> BuildReport:
    """Make a data set, or go on with one.

    Raises:
        DatasetError: lists cannot be read, or no photo can be used.
        DownloadError: a provider does not answer or refuses, or some photos cannot be had now.
        ImageryError: the imagery cannot be used.
        UsageError: an option cannot work, there is no token, or the folder holds another data set.
        StorageError: the disk refused.
    """
    if _is_complete(options):
        _finish(options)
        return BuildReport(options, was_complete=True)
    with contextlib.ExitStack() as opened:
        # Imagery first, before anybody is asked for photos: it may not be usable.
        files = None if options.catalogue else opened.enter_context(open_files(options))
        journal = opened.enter_context(Journal(options.work))
        web = opened.enter_context(Web(options.patience, connections=options.fetch.concurrency))
        begin(options, journal)
        selection = chosen(options, web)
        frames = files or opened.enter_context(open_catalogue(options, selection))
        wanted = wanted_photos(selection)
        fetched = _fetch(options, wanted, web, journal)
        cities = selection.photos["city"].to_pylist()
        manifest = write_manifest(options.work, wanted, cities, fetched.outcomes)
        report = pack_with(
            options.packing(manifest.path),
            frames,
            left_out=selection.left_out + manifest.left_out,
            facts={FACTS: _facts(options, selection, manifest)},
        )
    _finish(options)
    return BuildReport(
        options,
        candidates=selection.candidates,
        chosen=len(wanted),
        fetched=manifest.photos,
        left_out=selection.left_out + manifest.left_out,
        complaints=manifest.complaints,
        packed=tuple(report.lines),
    )


def _fetch(
    options: StreetscapesOptions, wanted: Sequence[Wanted], web: Web, journal: Journal
) -> Fetched:
    settled = journal.outcomes()
    sources = {photo.source for photo in wanted if photo.key not in settled}
    provider_of = providers(web, options.endpoints, token(options, sources), options.fetch.max_px)
    fetcher = PhotoFetcher(web, provider_of, options.work, options.fetch)
    fetched = fetch_all(wanted, fetcher, journal, settled=settled, quiet=options.quiet)
    if fetched.failures and not options.accept_missing:
        raise DownloadError(
            f"{len(fetched.failures):,} of {len(wanted):,} photos cannot be had now, such as "
            f"{fetched.failures[0]}; run the same command to ask for them again, or pass "
            "`accept_missing` to go on without them"
        )
    return fetched


def _is_complete(options: StreetscapesOptions) -> bool:
    """Whether the folder holds the data set that is asked for.

    Raises:
        UsageError: it holds another, and may not be replaced.
    """
    if not (options.out / DATASET_FILE).exists():
        return False
    facts = read_manifest(options.out)[0].get("facts", {}).get(FACTS, {})
    if facts.get("recipe") == options.recipe():
        return True
    if not options.overwrite:
        raise UsageError(
            f"{options.out} holds another data set: pass `overwrite`, or name another folder"
        )
    return False


def _finish(options: StreetscapesOptions) -> None:
    """What is left to do for a data set that is there: its card, and clearing up."""
    write_card(options.out)
    if not options.keep_photos and not other_options(options):
        shutil.rmtree(options.work, ignore_errors=True)


def _facts(
    options: StreetscapesOptions, selection: Selection, manifest: Manifest
) -> dict[str, Any]:
    return {
        "made_by": "python -m training.dataset streetscapes",
        "recipe": options.recipe(),
        "candidates": selection.candidates,
        "chosen": len(selection.photos),
        "fetched": manifest.photos,
        "left_out_choosing": dict(sorted(selection.left_out.items())),
        "left_out_fetching": dict(sorted(manifest.left_out.items())),
    }


@dataclass(frozen=True)
class Manifest:
    """What can be packed."""

    path: Path
    photos: int
    left_out: Counter[str]
    """The others, by reason."""
    complaints: tuple[str, ...]
    """What exactly is wrong with some of them."""


def write_manifest(
    folder: Path, wanted: Sequence[Wanted], cities: Sequence[str], outcomes: Mapping[str, Outcome]
) -> Manifest:
    """List what was fetched, without photos that look like one beside them.

    Args:
        folder: the working folder.
        wanted: the photos that were chosen; of two that look alike the first stays.
        cities: their cities.
        outcomes: what came of them by key; those that are missing could not be had.
    """
    left_out: Counter[str] = Counter()
    complaints = []
    fetched = []
    for number, photo in enumerate(wanted):
        outcome = outcomes.get(photo.key)
        if outcome is None:
            left_out[NOT_TO_BE_HAD] += 1
        elif outcome.reason:
            left_out[outcome.reason] += 1
            complaints += [outcome.complaint] if outcome.complaint else []
        else:
            fetched.append(number)
    lonlat_deg = np.array([wanted[i].lonlat_deg for i in fetched]).reshape(-1, 2)
    looks = [outcomes[wanted[i].key].look for i in fetched]
    again = near_duplicates(lonlat_deg, looks)
    if again:
        left_out[NEAR_DUPLICATE] += len(again)
    rows = [
        _row(folder, wanted[i], cities[i], outcomes[wanted[i].key])
        for at, i in enumerate(fetched)
        if at not in again
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), buffer)
    path = folder / "manifest.parquet"
    write_whole(path, buffer.getvalue())
    return Manifest(path, len(rows), left_out, tuple(complaints))


def near_duplicates(lonlat_deg: np.ndarray, looks: Sequence[int]) -> set[int]:
    """Which photos look like an earlier one that stays and is near.

    Args:
        lonlat_deg: (N, 2) where they are.
        looks: (N) their difference hashes.
    """
    if len(looks) < 2:
        return set()
    # A chord is shorter than its arc: by less than a nanometre at 50 m.
    tree = cKDTree(unit_vectors(lonlat_deg) * EARTH_RADIUS_M)
    again: set[int] = set()
    for number, near in enumerate(tree.query_ball_tree(tree, NEAR_M)):
        earlier = (i for i in near if i < number and i not in again)
        if any(alike(looks[i], looks[number]) for i in earlier):
            again.add(number)
    return again


_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("file", "id", "city", "captured_at")),
        *(pa.field(name, pa.float64()) for name in ("lon", "lat", "heading")),
        *(pa.field(name, pa.string()) for name in ("licence", "source", "attribution")),
        pa.field("sequence", pa.string()),
    ]
)


def _row(folder: Path, photo: Wanted, city: str, outcome: Outcome) -> dict[str, object]:
    return {
        "file": photo_path(folder, photo.key).relative_to(folder).as_posix(),
        "id": photo.key,
        "city": city,
        "captured_at": outcome.captured_at,
        "lon": photo.lonlat_deg[0],
        "lat": photo.lonlat_deg[1],
        "heading": outcome.heading_deg,
        "licence": outcome.licence,
        "source": outcome.source,
        "attribution": outcome.attribution,
        "sequence": outcome.sequence,
    }
