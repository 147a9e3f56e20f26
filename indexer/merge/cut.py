"""Cuts a region out of an index: a new index of the cells that lie in it, without computing any.

A vector of the new index is the vector it was, bit for bit, so a photo gets the scores it got
there. Frames that no cell refers to any more are left out. Reference photos that were taken in the
region come along, with their licences and credits; private ones stay where they are. A calibration
is not carried over, for it holds for one set of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon, shape

from gair.arrays import Bools, Floats
from gair.errors import RegionError
from indexer.ground.carry import Carried, open_parts
from indexer.index.default_folder import folder_of_indexes
from indexer.index.index import Index, open_index
from indexer.index.manifest import Manifest
from indexer.index.storage import building, check_name, new_build_id, publish, require_space
from indexer.merge.copy_rows import MergeOrder
from indexer.merge.merge import filled_build
from indexer.probability.calibration import calibration_path
from indexer.regions.region import Region


@dataclass(frozen=True)
class CutReport:
    """What a cut did."""

    path: Path
    """The build's folder."""
    manifest: Manifest
    carried: Carried
    """What became of the reference photos."""
    calibrated: bool
    """Whether the larger index has a calibration, which was not carried over."""

    @property
    def summary(self) -> list[str]:
        """Lines for people."""
        lines = [*self.manifest.summary, *self.carried.lines]
        if self.calibrated:
            lines.append(
                "  note: the calibration was not carried over: run python -m indexer calibrate"
            )
        return lines


def cut_index(
    folder: str | Path,
    region: Region,
    name: str,
    out: str | Path | None = None,
    *,
    index_type: str = "auto",
    reference_photos: bool = True,
    quiet: bool = False,
) -> CutReport:
    """Make an index of the cells of another whose centres lie in a region.

    Args:
        folder: of the larger index, which stays as it is.
        region: what is cut out.
        name: of the new index.
        out: folder of all indexes; $GAIR_INDEXES or ``indexes`` if not given.
        index_type: one of :data:`indexer.index.ivf.WANTED`.
        reference_photos: whether it gets those of the larger one that were taken in the region,
            but for private ones. It keeps none that it had before.
        quiet: no progress.

    Raises:
        RegionError: no cell of the index lies in the region.
        StorageError: the disk refused; nothing changes for readers.
    """
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

    def within(points: Floats) -> Bools:
        return _inside(region, points)

    larger = index.path.parent
    ground = open_parts([larger], index_folder, wanted=reference_photos, within=within)
    with ground.changing():
        with building(index_folder, build) as hidden:
            manifest = filled_build(
                hidden,
                name,
                build,
                [index],
                order,
                region=_outline(index, region),
                within=within,
                index_type=index_type,
                quiet=quiet,
            )
            path = publish(hidden, build, manifest.to_json())
        carried = ground.carry(manifest, index.rs.dim, quiet=quiet)
    calibrated = calibration_path(larger, index.manifest.build).exists()
    return CutReport(path, manifest, carried, calibrated)


def _inside(region: Region, lonlat_deg: Floats) -> Bools:
    """(N,) whether points lie in a region, as the centres of cells do that a build chooses."""
    lon, lat = lonlat_deg[:, 0], lonlat_deg[:, 1]
    inside: Bools = shapely.contains_xy(region.geometry, lon, lat)
    return inside


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
