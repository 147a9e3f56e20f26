"""Maps the similarity of a photo with one tile of imagery, and with every place of a city.

It is figure 4 of Liu et al. (arXiv 2503.16683) for any index: cos(s, z) on a fine lattice over the
frame that the photo was taken in, read by NILI, and cos(s, e) at every cell of the city, with the
true place marked. From the command line::

    python -m training.experiments.similarity_maps --index city --photos photos.csv --out maps.png
    python -m training.experiments.similarity_maps --city CITY --model shipped:demo --out maps.png

The numbers beside the picture say how much of the tile, or of the city, is more similar to the
photo than the place where it was taken: half of it by chance.
"""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gair.arrays import Floats, Vectors
from gair.command import run_script
from gair.errors import SearchIndexError, UsageError
from gair.fields import option
from gair.geo import Footprint, haversine_m
from indexer.commands.arguments import IndexAndModel
from indexer.evaluate.metrics import rank_and_area
from indexer.evaluate.report.wording import metres, percent, plain

if TYPE_CHECKING:
    from gair.photos.photo import Photo
    from indexer.photos.listing import ListedPhoto
    from indexer.search.geolocator import Geolocator

MOST_POINTS = 4_000_000
"""Of a lattice: 5 m on a tile 10 km wide."""
_ROWS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class MapOptions(IndexAndModel):
    """Index, photos and lattice."""

    city: Path | None = option(None, metavar="DIR")
    """A folder with imagery/ and photos.csv, as python -m training.synthetic city writes one, to
    index for this picture alone; it needs --model."""
    photos: Path | None = option(None, metavar="MANIFEST")
    """Photos with places, a manifest or a folder of photos with GPS (default: photos.csv of
    --city)."""
    photo: tuple[str, ...] = option((), metavar="NAME")
    """A photo of the manifest, by its file; may be given again (default: the first)."""
    spacing_m: float = option(5.0, metavar="M")
    """Of the lattice over the tile, on the ground."""
    out: Path = option(metavar="FILE.png")
    """The picture."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.spacing_m) and self.spacing_m > 0):
            raise UsageError(f"`spacing_m` {self.spacing_m:g}: it must be above 0")
        if self.out.suffix.lower() != ".png":
            raise UsageError(f"`out` {self.out} must end in .png")
        if self.city is None and self.photos is None:
            raise UsageError("which photos? Give `photos`, or a `city` with photos.csv")
        if self.city is not None and (self.index is not None or self.model is None):
            raise UsageError("`city` is indexed anew: give the `model`, and no `index`")


@dataclass(frozen=True, eq=False)
class PlaceInMap:
    """How similar the true place is, among all that a map shows."""

    cosine: float
    rank: float
    """1 for the most similar; among equals the middle."""
    of: int
    """How many points or cells the map has."""
    share_above: float
    """Share of the area with a higher cosine, 0 to 1."""
    peak_m: float
    """From the true place to the most similar one."""


@dataclass(frozen=True, eq=False)
class SimilarityMaps:
    """Both maps of a photo."""

    photo: Photo
    truth_lonlat_deg: tuple[float, float]
    tile: Footprint
    """The frame around the true place."""
    tile_side_m: float
    """On the ground."""
    frame: int
    """Its row in the index's table of frames."""
    tile_cosines: Vectors
    """(n, n) of z on a lattice, the north row first."""
    in_tile: PlaceInMap
    city_imagery: Vectors
    """(N,) of z at the cells of the index."""
    in_city_by_imagery: PlaceInMap
    city_cosines: Vectors
    """(N,) of e at the cells of the index."""
    in_city: PlaceInMap

    @property
    def lines(self) -> list[str]:
        """What the maps say of the true place."""
        maps = (
            ("cos(s, z) over the tile", "points", self.in_tile),
            ("cos(s, z) over the city", "cells", self.in_city_by_imagery),
            ("cos(s, e) over the city", "cells", self.in_city),
        )
        lon_deg, lat_deg = self.truth_lonlat_deg
        return [
            f"{self.photo.name}, taken at {lat_deg:.5f}, {lon_deg:.5f}",
            *(
                f"  {name}: {at.cosine:.3f} at the true place, rank {plain(at.rank)} of {at.of:,} "
                f"{unit}, {percent(at.share_above)} of the area is higher, the peak is "
                f"{metres(at.peak_m)} away"
                for name, unit, at in maps
            ),
        ]


def similarity_maps(
    geolocator: Geolocator,
    photo: Photo,
    truth_lonlat_deg: tuple[float, float],
    spacing_m: float = MapOptions.spacing_m,
) -> SimilarityMaps:
    """Compare a photo with the tile it was taken in, and with every cell of its city.

    Args:
        geolocator: an open index that keeps token maps.
        photo: to compare.
        truth_lonlat_deg: where it was taken.
        spacing_m: of the lattice over the tile, on the ground.

    Raises:
        SearchIndexError: the index has no token maps.
        UsageError: the place is in no cell of the index, or the lattice is too fine.
    """
    space, index = geolocator.space, geolocator.index
    if index.tokens is None:
        raise SearchIndexError(
            f"index {index.name!r} has no token maps: build it again, without --no-token-maps"
        )
    truth = np.array([truth_lonlat_deg])
    cell = space.cell_row(truth)
    if cell[0] < 0:
        lon_deg, lat_deg = truth_lonlat_deg
        raise UsageError(
            f"{photo.name} was taken at {lat_deg:.5f}, {lon_deg:.5f}, in no cell of index "
            f"{index.name!r}: choose another photo"
        )
    (s,) = geolocator.embed([photo])
    frame = int(index.cells.frame[cell[0]])
    west, south, east, north = index.frames.bounds_wsen_m[frame].tolist()
    tile = Footprint("EPSG:3857", (west, south, east, north))
    side_m = (east - west) * math.cos(math.radians(truth_lonlat_deg[1]))
    side = max(1, round(side_m / spacing_m))
    if side**2 > MOST_POINTS:
        raise UsageError(
            f"`spacing_m` {spacing_m:g} makes {side**2:,} points, more than {MOST_POINTS:,}: "
            "choose a larger one"
        )
    middles = (2 * np.arange(side) + 1) / side - 1
    x, y = np.meshgrid(middles, middles)
    lattice = np.stack([x.ravel(), y.ravel()], axis=1)  # the north row first
    cosines = _tile_cosines(geolocator, frame, s, lattice)
    own = _tile_cosines(geolocator, frame, s, tile.frame_xy(truth))[0]
    rs, location = (scores[0] for scores in space.scores(s[None]))
    return SimilarityMaps(
        photo=photo,
        truth_lonlat_deg=truth_lonlat_deg,
        tile=tile,
        tile_side_m=side_m,
        frame=frame,
        tile_cosines=cosines.reshape(side, side),
        in_tile=PlaceInMap(
            cosine=float(own),
            rank=1 + float((cosines > own).sum()),
            of=len(cosines),
            share_above=float((cosines > own).mean()),
            peak_m=float(haversine_m(tile.lonlat_deg(lattice[[cosines.argmax()]]), truth)[0]),
        ),
        city_imagery=rs,
        in_city_by_imagery=_in_city(geolocator, rs, int(cell[0]), truth),
        city_cosines=location,
        in_city=_in_city(geolocator, location, int(cell[0]), truth),
    )


def _tile_cosines(geolocator: Geolocator, frame: int, s: Vectors, xy: Floats) -> Vectors:
    """Cosines of (D,) a photo with z at (Q, 2) points of a frame: (Q,)."""
    import torch

    index, model = geolocator.index, geolocator.model
    assert index.tokens is not None
    step = _ROWS_AT_ONCE * math.isqrt(len(xy)) + 1
    cosines = []
    with torch.inference_mode():
        tokens = index.tokens.frame([frame]).to(model.device)
        for start in range(0, len(xy), step):
            at = torch.from_numpy(xy[start : start + step]).to(model.device, torch.float32)
            mode = index.manifest.query_mode
            z = model.localize(tokens, at[None], mode=mode)  # type: ignore[arg-type]
            cosines.append(z[0].cpu().numpy() @ s)
    return np.concatenate(cosines)


def _in_city(geolocator: Geolocator, cosines: Vectors, cell: int, truth: Floats) -> PlaceInMap:
    cells = geolocator.index.cells
    rank, searched_m2 = rank_and_area(cosines[None], cells.area_m2, np.array([cell]))
    above_m2 = float(searched_m2[0] - cells.area_m2[cell])
    return PlaceInMap(
        cosine=float(cosines[cell]),
        rank=float(rank[0]),
        of=len(cosines),
        share_above=above_m2 / float(cells.area_m2.sum()),
        peak_m=float(haversine_m(cells.lonlat_deg[[cosines.argmax()]], truth)[0]),
    )


def chosen(photos: Sequence[ListedPhoto], names: Sequence[str]) -> list[ListedPhoto]:
    """The photos of a list that were asked for, or its first.

    Raises:
        UsageError: there is none of that name, or it has no place.
    """
    by_name = {photo.name: photo for photo in reversed(photos)}
    for name in names:
        if name not in by_name:
            raise UsageError(f"no photo {name!r} is listed: there are {photos[0].name!r} and so on")
    wanted = [by_name[name] for name in names] or [photos[0]]
    for photo in wanted:
        if photo.lonlat_deg is None or not np.isfinite(photo.lonlat_deg).all():
            raise UsageError(f"{photo.name} has no coordinates: add them to the manifest")
    return wanted


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    return run_script(
        MapOptions,
        _run,
        argv,
        prog="python -m training.experiments.similarity_maps",
        description="How similar photos are to the imagery around them, and to the places of a "
        "whole city, as a picture and in numbers.",
    )


def _run(options: MapOptions) -> int:
    from gair.files import write_whole
    from gair.photos.photo import open_photo
    from indexer.photos.listing import read_photos
    from training.experiments.similarity_picture import picture
    from training.synthetic.files import MANIFEST

    listed = options.photos or (options.city or Path()) / MANIFEST
    wanted = chosen(read_photos(listed), options.photo)
    opened = [open_photo(photo.path) for photo in wanted]
    with _opened(options) as geolocator:
        maps = [
            similarity_maps(geolocator, photo, place.lonlat_deg, options.spacing_m)
            for photo, place in zip(opened, wanted, strict=True)
            if place.lonlat_deg is not None
        ]
        write_whole(options.out, picture(geolocator.index, maps))
        for of_photo in maps:
            print("\n".join(of_photo.lines))
        print(f"{options.out}: model {geolocator.model.info.name}; {geolocator.space.attribution}")
    return 0


@contextlib.contextmanager
def _opened(options: MapOptions) -> Iterator[Geolocator]:
    """The index that was named, or one of the city, which is gone afterwards."""
    if options.city is None:
        yield options.geolocator()
        return
    from gair.model import Gair
    from indexer.build.build import BuildOptions, build_index
    from indexer.imagery import open_imagery
    from indexer.index.index import open_index
    from indexer.regions.region import Region
    from indexer.search.geolocator import Geolocator
    from training.synthetic.files import IMAGERY

    model, name = Gair.from_pretrained(str(options.model)), options.city.resolve().name
    with tempfile.TemporaryDirectory() as folder, open_imagery(options.city / IMAGERY) as imagery:
        region = Region(name, imagery.coverage, attribution="")
        build_index("city", region, imagery, model, folder, options=BuildOptions(quiet=True))
        yield Geolocator(open_index(Path(folder) / "city"), model)


if __name__ == "__main__":
    sys.exit(main())
