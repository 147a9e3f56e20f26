"""Commands that only tell: ``info``, ``verify-index`` and ``regions``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import add_command
from gair.errors import IndexCorruptError, IndexInUseError, SearchIndexError
from indexer.commands.arguments import IndexChoice, add_positional_index

if TYPE_CHECKING:
    from indexer.ground.manifest import ReferenceManifest
    from indexer.index.manifest import Manifest
    from indexer.search.weights import SearchWeights

_RESOLUTIONS = (9, 10)
SAYS_NOTHING = ": there is no calibration, and the model's card gives no weight for location"


@dataclass(frozen=True, kw_only=True)
class Info(IndexChoice):
    """Flags of ``info``."""

    json: bool = False
    """Print the whole manifest, without that of the reference photos."""


@dataclass(frozen=True, kw_only=True)
class Regions:
    """Flags of ``regions``."""

    json: bool = False
    """As JSON."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the commands."""
    parser = add_command(
        commands,
        "info",
        Info,
        run,
        help="show what an index is made of",
        description="Show an index's model, imagery, cells and warnings; without --index, list "
        "the indexes.",
    )
    add_positional_index(parser)
    parser = add_command(
        commands,
        "verify-index",
        IndexChoice,
        run_verify_index,
        help="check every file of an index",
        description="Hash every file of the serving build again, and look inside: rows, frames, "
        "vectors, calibration, reference photos. Prints a line a file; exit status 1 where one is "
        "damaged.",
    )
    add_positional_index(parser)
    add_command(
        commands,
        "regions",
        Regions,
        run_regions,
        help="list the regions that ship with us",
        description="List the regions that build --region knows: their area, their cells at H3 "
        "resolutions 9 and 10, and whom to credit for the outline.",
    )


def run(options: Info) -> int:
    """Print a manifest, or the names of the indexes."""
    from indexer.index.index import read_manifest
    from indexer.index.storage import index_names, read_current
    from indexer.probability.calibration import load_calibration
    from indexer.search.weights import default_weights

    names = index_names(Path(options.indexes_dir))
    if options.index is None and len(names) != 1:
        if options.json:
            print(json.dumps(names))
        else:
            print("\n".join(names) if names else f"no index in {options.indexes_dir!r}")
        return 0
    build, digest = read_current(options.folder)
    manifest = read_manifest(options.folder / build, digest)
    if options.json:
        print(manifest.to_json().decode())
    else:
        model = manifest.model
        calibration = load_calibration(options.folder, build, model.fingerprint)
        lines = manifest_lines(manifest, default_weights(model, calibration))
        print("\n".join(lines + _reference_lines(options.folder, manifest)))
    return 0


def run_verify_index(options: IndexChoice) -> int:
    """Print a line a file.

    Raises:
        IndexCorruptError: a file is damaged; the first is named.
    """
    from indexer.ground.verify import check_reference_photos
    from indexer.index.verify import check_index

    damaged = []
    for finding in chain(check_index(options.folder), check_reference_photos(options.folder)):
        print(finding.line, flush=True)
        if finding.problem:
            damaged.append(finding)
    if damaged and all(finding.in_use for finding in damaged):
        raise IndexInUseError(damaged[0].problem)
    if damaged:
        raise IndexCorruptError(f"{len(damaged)} damaged: {damaged[0].file}: {damaged[0].problem}")
    return 0


def run_regions(options: Regions) -> int:
    """Print the regions."""
    from indexer.regions.cells import cells_of
    from indexer.regions.region import named_region, region_names

    rows = []
    for name in region_names():
        region = named_region(name)
        cells = {f"r{r}": len(cells_of(region.geometry, r)) for r in _RESOLUTIONS}
        rows.append(
            {
                "name": name,
                "area_km2": round(region.area_km2, 1),
                "cells": cells,
                "attribution": region.attribution,
            }
        )
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    print(f"{'name':<12} {'km2':>9} {'cells r9':>9} {'cells r10':>10}  attribution")
    for row in rows:
        r9, r10 = row["cells"].values()  # type: ignore[attr-defined]
        print(
            f"{row['name']:<12} {row['area_km2']:>9,.1f} {r9:>9,} {r10:>10,}  {row['attribution']}"
        )
    print("any other: --bbox W,S,E,N, --polygon FILE.geojson, or --place NAME (asks a geocoder)")
    return 0


def manifest_lines(manifest: Manifest, weights: SearchWeights) -> list[str]:
    """A manifest as lines for a terminal, with how a search weighs its vectors."""
    m = manifest
    size_mb = sum(f.size_bytes for f in m.files.values()) / 1e6
    dates = sorted({str(when)[:10] for scene in m.imagery["scenes"] for when in scene["dates"]})
    return [
        f"index {m.name}, build {m.build} of {m.created_utc}, {size_mb:,.1f} MB",
        f"  region   {m.region['name']}, {m.region['area_km2']:,.1f} km2 {m.region['attribution']}",
        f"  cells    {m.cells_indexed:,} of {m.cells_in_region:,} at H3 {m.h3_resolution}",
        f"  model    {m.model.name} ({m.model.source}), licence {m.model.licence}, "
        f"{'trained' if m.model.trained else 'UNTRAINED'}, {m.model.fingerprint[:12]}",
        f"  imagery  {len(m.imagery['scenes'])} scenes, {', '.join(dates) or 'dates unknown'}; "
        f"{m.imagery['attribution']}",
        *_picture_lines(m),
        f"  vectors  {m.vectors['rs']['dim']} dimensions; {m.metric}",
        f"  search   {_search_line(m.search)}",
        f"  weights  {weights.said}{SAYS_NOTHING if weights.source == 'default' else ''}",
        *[
            f"  merged   {part['cells']:,} cells of {part['index']}, build {part['build']}"
            + (f", {part['precision']}" if "precision" in part else "")
            for part in m.merged
        ],
        *[f"  note     {warning}" for warning in m.warnings],
    ]


def _picture_lines(manifest: Manifest) -> list[str]:
    """The pictures of the region, a line each."""
    from indexer.index.picture.cog import said_dates

    return [
        f"  picture  {entry['file']}, {manifest.files[entry['file']].size_bytes / 1e6:,.1f} MB, "
        f"{said_dates(entry['dates'])}{' by itself' if entry['shows'] == 'date' else ''}"
        for entry in manifest.pictures
    ]


def _reference_lines(folder: Path, manifest: Manifest) -> list[str]:
    """What reference photos an index has; nothing where it has none."""
    from indexer.ground.reference_photos import check_model, current_set, read_set_manifest

    try:
        current = current_set(folder)
        if current is None:
            return []
        photos = read_set_manifest(folder / current[0], current[1])
        check_model(photos, manifest.model.fingerprint, folder / current[0])
    except SearchIndexError as error:
        return [f"  photos   {error}"]
    return reference_lines(photos, manifest.region["area_km2"])


def reference_lines(photos: ReferenceManifest, area_km2: float) -> list[str]:
    """A set of reference photos as lines for a terminal."""
    first, last, unknown = (photos.dates[name] for name in ("first", "last", "unknown"))
    days = first if first == last else f"{first} to {last}"
    dated = f"{days or 'dates unknown'}" + (f", {unknown:,} undated" if unknown and days else "")
    size_mb = sum(file.size_bytes for file in photos.files.values()) / 1e6
    private = f", {photos.private:,} private" if photos.private else ""
    return [
        f"  photos   {photos.photos:,} reference photos of {photos.places:,} places{private}, "
        f"{photos.photos / area_km2:,.1f} a km2, {photos.with_heading:,} with a heading, "
        f"{size_mb:,.1f} MB",
        f"           taken {dated}",
        f"           licences {_counts(photos.licences)}",
        f"           sources {_counts(photos.sources)}",
        *_prototype_lines(photos),
        *([] if photos.search["type"] == "flat" else [f"           {_lists_line(photos.search)}"]),
    ]


def _prototype_lines(photos: ReferenceManifest) -> list[str]:
    """What stands for the photos in a search; nothing where they are searched themselves."""
    if not photos.prototypes:
        return []
    count = photos.search["prototypes"]["count"]
    return [f"           searched by {count:,} prototypes, at most {photos.prototypes} a cell"]


def _lists_line(search: dict[str, Any]) -> str:
    """How reference photos are searched where not all are scored."""
    return (
        f"searched by {search['type']}, {search['lists']:,} lists, {search['probes']} looked into; "
        f"recall of the nearest photos {search['recall']:.1%} (gate {search['gate']:.0%})"
    )


def _counts(counts: dict[str, int], most: int = 8) -> str:
    """``name (count)`` of the most frequent ones."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} ({count:,})" for name, count in ordered[:most])
    return shown + (f" and {len(ordered) - most:,} more" if len(ordered) > most else "")


def _search_line(search: dict[str, Any]) -> str:
    """How an index is searched, and how good that was measured to be."""
    if search["type"] == "flat":
        return f"flat: every cell is scored{'; ' if search['note'] else ''}{search['note']}"
    return (
        f"{search['type']}, {search['lists']:,} lists, {search['probes']} looked into, "
        f"{search['shortlist']:,} cells a kind scored; recall of the ten best cells "
        f"{search['recall']:.1%} (gate {search['gate']:.0%}), with {search['queries']}"
    )
