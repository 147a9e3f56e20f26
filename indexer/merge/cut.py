"""Cuts a region out of an index: a new index of the cells that lie in it, without computing any.

A vector of the new index is the vector it was, bit for bit, so a photo gets the scores it got
there. Frames that no cell refers to any more are left out. A calibration is not carried over, for
it holds for one set of cells; nor are reference photos.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon, shape

from gair.arrays import Floats
from gair.errors import RegionError
from indexer.index.chips import CHIPS_FILE
from indexer.index.content_hash import content_sha256
from indexer.index.default_folder import folder_of_indexes
from indexer.index.index import Index, open_index
from indexer.index.ivf_build import calibration_photos, make_search
from indexer.index.manifest import SCHEMA_VERSION, Manifest, region_field, tokens_field, utc_now
from indexer.index.storage import (
    LOCATION_FILE,
    RS_FILE,
    TABLE_FILE,
    TOKENS_FILE,
    building,
    check_name,
    file_records,
    new_build_id,
    publish,
    require_space,
    write_outline,
)
from indexer.merge.copy_rows import (
    MergeOrder,
    merge_chips,
    merge_table,
    merge_tokens,
    merge_vectors,
)
from indexer.regions.region import Region


def cut_index(
    folder: str | Path,
    region: Region,
    name: str,
    out: str | Path | None = None,
    *,
    index_type: str = "auto",
    quiet: bool = False,
) -> Manifest:
    """Make an index of the cells of another whose centres lie in a region; returns its manifest.

    Args:
        folder: of the larger index, which stays as it is.
        region: what is cut out.
        name: of the new index.
        out: folder of all indexes; $GAIR_INDEXES or ``indexes`` if not given.
        index_type: one of :data:`indexer.index.ivf.WANTED`.
        quiet: no progress.

    Raises:
        RegionError: no cell of the index lies in the region.
        StorageError: the disk refused; nothing changes for readers.
    """
    began = time.perf_counter()
    index_folder = folder_of_indexes(out) / check_name(name)
    index = open_index(folder)
    rows = np.flatnonzero(_inside(region, index.cells.lonlat_deg))
    if not len(rows):
        raise RegionError(
            f"no cell of index {index.name!r} has its centre in {region.name!r}: it spans west, "
            f"south, east, north {index.manifest.region['bbox_wsen_deg']}"
        )
    order = MergeOrder(np.zeros_like(rows), rows, (np.unique(index.cells.frame[rows]),), 0)
    share = len(rows) / len(index.cells)
    sizes = sum(record.size_bytes for record in index.manifest.files.values())
    require_space(index_folder, int(sizes * share))
    build = new_build_id()
    with building(index_folder, build) as hidden:
        manifest = _filled(hidden, index, region, order, index_type, quiet)
        manifest = replace(
            manifest,
            name=name,
            build=build,
            created_utc=utc_now(),
            seconds={"total": round(time.perf_counter() - began, 3)},
        )
        publish(hidden, build, manifest.to_json())
    return manifest


def _inside(region: Region, lonlat_deg: Floats) -> npt.NDArray[np.bool_]:
    """(N,) whether points lie in a region, as the centres of cells do that a build chooses."""
    lon, lat = lonlat_deg[:, 0], lonlat_deg[:, 1]
    inside: npt.NDArray[np.bool_] = shapely.contains_xy(region.geometry, lon, lat)
    return inside


def _filled(
    folder: Path, index: Index, region: Region, order: MergeOrder, index_type: str, quiet: bool
) -> Manifest:
    """Write every file of the build but its manifest, which is returned."""
    merge_vectors(folder / RS_FILE, [index.rs], order, quiet=quiet)
    merge_vectors(folder / LOCATION_FILE, [index.location], order, quiet=quiet)
    token_shape = merge_tokens(folder / TOKENS_FILE, [index], order)
    if index.chips is not None:
        merge_chips(folder / CHIPS_FILE, [index], order)
    frames, missing = merge_table(
        folder / TABLE_FILE, [index], order, within=lambda points: _inside(region, points)
    )
    outline = _outline(index, region)
    write_outline(folder, outline.to_geojson())
    whole = index.manifest
    photos = calibration_photos(index.path.parent, whole.model.fingerprint)
    search = make_search(folder, index_type, photos, quiet=quiet)
    records = file_records(folder)
    taken = {
        "index": whole.name,
        "build": whole.build,
        "created_utc": whole.created_utc,
        "cells": len(order.row),
        "precision": ", ".join(whole.precisions),
    }
    return replace(
        whole,
        schema_version=SCHEMA_VERSION,
        region=region_field(outline),
        cells_in_region=len(order.row) + len(missing.reason),
        cells_indexed=len(order.row),
        missing=dict(sorted(Counter(missing.reason).items())),
        frames={
            **whole.frames,
            "count": len(frames.valid_fraction),
            "incomplete": int((frames.valid_fraction < 1).sum()),
        },
        tokens=tokens_field(token_shape, TOKENS_FILE),
        files=records,
        computed={"precision": taken["precision"]},
        content_sha256=content_sha256(folder, records),
        search=search,
        merged=[taken],
    )


def _outline(index: Index, region: Region) -> Region:
    """What of the region was indexed, with the credits of both."""
    whole = shape(index.outline["geometry"])
    common = shapely.normalize(shapely.intersection(whole, region.geometry))
    parts = [part for part in shapely.get_parts(common) if isinstance(part, Polygon)]
    if not parts:  # cells reach a little beyond the outline of what has none of its own
        parts = [part for part in shapely.get_parts(region.geometry) if isinstance(part, Polygon)]
    credits = [str(index.outline["properties"].get("attribution", "")), region.attribution]
    geometry = parts[0] if len(parts) == 1 else MultiPolygon(parts)
    return Region(region.name, geometry, "; ".join(dict.fromkeys(c for c in credits if c)))
