"""``python -m indexer info``: what an index is made of."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.commands.arguments import add_index_choice

if TYPE_CHECKING:
    from indexer.index.manifest import Manifest


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    info = commands.add_parser(
        "info",
        help="show what an index is made of",
        description="Show an index's model, imagery, cells and warnings; without --index, list "
        "the indexes.",
    )
    info.set_defaults(run=run)
    add_index_choice(info)
    info.add_argument("--json", action="store_true", help="print the whole manifest")


def run(arguments: argparse.Namespace) -> int:
    """Print a manifest, or the names of the indexes."""
    import json

    from indexer.index.index import find_index, read_manifest
    from indexer.index.storage import index_names, read_current

    if arguments.index is None and len(index_names(Path(arguments.indexes))) != 1:
        names = index_names(Path(arguments.indexes))
        if arguments.json:
            print(json.dumps(names))
        else:
            print("\n".join(names) if names else f"no index in {arguments.indexes!r}")
        return 0
    folder = find_index(arguments.index, arguments.indexes)
    build, digest = read_current(folder)
    manifest = read_manifest(folder / build, digest)
    if arguments.json:
        print(manifest.to_json().decode())
    else:
        print("\n".join(manifest_lines(manifest)))
    return 0


def manifest_lines(manifest: Manifest) -> list[str]:
    """A manifest as lines for a terminal."""
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
        f"  vectors  {m.vectors['rs']['dim']} dimensions; {m.metric}",
        f"  search   {_search_line(m.search)}",
        *[
            f"  merged   {part['cells']:,} cells of {part['index']}, build {part['build']}"
            + (f", {part['precision']}" if "precision" in part else "")
            for part in m.merged
        ],
        *[f"  note     {warning}" for warning in m.warnings],
    ]


def _search_line(search: dict[str, Any]) -> str:
    """How an index is searched, and how good that was measured to be."""
    if search["type"] == "flat":
        return f"flat: every cell is scored{'; ' if search['note'] else ''}{search['note']}"
    return (
        f"{search['type']}, {search['lists']:,} lists, {search['probes']} looked into, "
        f"{search['shortlist']:,} cells a kind scored; recall of the ten best cells "
        f"{search['recall']:.1%} (gate {search['gate']:.0%}), with {search['queries']}"
    )
