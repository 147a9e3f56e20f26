"""Near reference photos of a place: those taken closest to it, or those that look like its imagery.

A photo's likeness is the cosine of its vector s with the imagery's vector z of the cell that holds
the place. Beside it stands the share of the index's reference photos that are at least as like.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gair.arrays import Ints, Vectors
from gair.errors import UsageError
from gair.geo import haversine_m
from indexer.explore.similar import LonLat, check_lonlat
from indexer.probability.cautions import coded
from indexer.regions.cells import cell_hex

if TYPE_CHECKING:
    from indexer.ground.reference_photos import ReferencePhotos
    from indexer.search.geolocator import Geolocator

SCHEMA_VERSION = 1
"""Of :meth:`NearPhotos.to_dict`. Raised when a field changes its meaning or goes away."""

PhotoOrder = Literal["distance", "likeness"]
"""What comes first: the photo taken closest to the place, or the one most like its imagery."""


@dataclass(frozen=True)
class NearPhoto:
    """A reference photo of a place."""

    rank: int
    """1 for the first in the order that was asked for."""
    lon_deg: float
    """Longitude where it was taken."""
    lat_deg: float
    """Latitude where it was taken."""
    distance_m: float
    """From the place, metres."""
    cosine: float | None
    """Of its vector with that of the imagery at the place; None where no cell holds the place."""
    as_like_share: float | None
    """Share of the reference photos that are at least as like: what chance is worth; None with the
    cosine."""
    heading_deg: float | None
    """Where it looks, clockwise from north; None if nobody knows."""
    taken_on: str | None
    """Its day, ISO 8601; None if nobody knows."""
    source: str
    """Where it is from."""
    link: str
    """Where a person can look at it; empty if nowhere."""
    licence: str
    """Its terms; empty if nobody knows."""
    attribution: str
    """Credit that the licence asks for."""
    private: bool
    """Whether files for others leave it out."""


@dataclass(frozen=True)
class NearPhotos:
    """Reference photos of a place, first the nearest or the most like."""

    index: str
    """Name of the index."""
    build: str
    """Of its serving build."""
    model: str
    """What made its vectors."""
    model_licence: str
    """Terms of the model, which its vectors share."""
    lon_deg: float
    """Longitude of the place."""
    lat_deg: float
    """Latitude of the place."""
    h3_cell: str | None
    """The cell that holds it; None where the index has none there."""
    order: PhotoOrder
    """What comes first."""
    photos: tuple[NearPhoto, ...]
    """In this order."""
    photos_compared: int
    """Reference photos of the index, of which these are some."""
    median_cosine: float | None
    """Of all of them with the imagery at the place: what a photo has by chance."""
    warnings: tuple[str, ...]
    """What to know before believing it."""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON types, with ``schema_version``."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["photos"] = [asdict(photo) for photo in self.photos]
        values["warnings"] = coded(self.warnings)
        return {"schema_version": SCHEMA_VERSION, **values}


def photos_near_place(
    geolocator: Geolocator,
    lon_deg: float,
    lat_deg: float,
    *,
    k: int = 10,
    order: PhotoOrder = "distance",
) -> NearPhotos:
    """The reference photos of a place.

    Args:
        geolocator: an open index with reference photos.
        lon_deg: longitude of the place.
        lat_deg: its latitude.
        k: how many photos.
        order: ``distance``: those taken closest to it; ``likeness``: those most like its imagery,
            wherever they were taken.

    Raises:
        UsageError: the index has no reference photos, k or the place makes no sense, or no cell
            holds the place whose imagery is to be compared.
    """
    space = geolocator.space
    check_lonlat((lon_deg, lat_deg))
    if k < 1:
        raise UsageError(f"`k` is {k}: it must be 1 or more")
    if space.ground is None:
        raise UsageError(
            f"index {space.index.name!r} has no reference photos: add some with python -m indexer "
            "add-photos"
        )
    photos, place = space.ground.comparison.photos, (lon_deg, lat_deg)
    row = int(space.cell_row([place])[0])
    if row < 0 and order == "likeness":
        raise UsageError(
            f"no cell of index {space.index.name!r} is at {lat_deg:.5f}, {lon_deg:.5f}, so there "
            "is no imagery to compare with: ask by distance, or for a place in the index"
        )
    cosines = None if row < 0 else photos.store.scores(space.index.rs.vectors(np.array([row])))[0]
    rows = _first_rows(photos, place, k) if order == "distance" else _most_like(cosines, k)
    manifest = space.index.manifest
    return NearPhotos(
        index=space.index.name,
        build=manifest.build,
        model=manifest.model.name,
        model_licence=manifest.model.licence,
        lon_deg=float(lon_deg),
        lat_deg=float(lat_deg),
        h3_cell=None if row < 0 else cell_hex(space.index.cells.h3[row]),
        order=order,
        photos=_told(photos, rows, place, cosines),
        photos_compared=len(photos),
        median_cosine=None if cosines is None else float(np.median(cosines)),
        warnings=tuple(manifest.warnings),
    )


def _first_rows(photos: ReferencePhotos, place: LonLat, k: int) -> Ints:
    """Rows of the photos taken closest to a place; equally close ones by row."""
    away_m = np.asarray(haversine_m(photos.lonlat_deg, place))
    return np.lexsort((np.arange(len(photos)), away_m))[:k]


def _most_like(cosines: Vectors | None, k: int) -> Ints:
    assert cosines is not None
    return np.argsort(-cosines, kind="stable")[:k]


def _told(
    photos: ReferencePhotos, rows: Ints, place: LonLat, cosines: Vectors | None
) -> tuple[NearPhoto, ...]:
    ascending = None if cosines is None else np.sort(cosines)
    told = []
    for rank, (row, photo) in enumerate(zip(rows.tolist(), photos.details(rows), strict=True), 1):
        cosine = as_like = None
        if cosines is not None and ascending is not None:
            cosine = float(cosines[row])
            below = int(np.searchsorted(ascending, cosines[row], side="left"))
            as_like = (len(photos) - below) / len(photos)
        told.append(
            NearPhoto(
                rank=rank,
                lon_deg=photo.lonlat_deg[0],
                lat_deg=photo.lonlat_deg[1],
                distance_m=float(haversine_m(photo.lonlat_deg, place)),
                cosine=cosine,
                as_like_share=as_like,
                private=photo.private,
                **photo.shown,
            )
        )
    return tuple(told)
