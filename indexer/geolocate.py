"""Journey 2, a photo becomes an answer: pixels, s, scores over cells, distinct candidates."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from gair.errors import IndexMismatchError, ModelError, UsageError
from gair.photos import Photo, open_photo
from gair.preprocess import street_view_pixels
from indexer.answer import Answer, Candidate
from indexer.candidates import Place, distinct_places
from indexer.cells import cell_hex, cells_at
from indexer.index import Index, find_index, open_index
from indexer.neighbours import CellField
from indexer.storage import read_current

if TYPE_CHECKING:
    import PIL.Image

    from gair.model import Gair

    PhotoSource = str | os.PathLike[str] | bytes | PIL.Image.Image | npt.NDArray[Any] | Photo

PHOTOS_AT_ONCE = 16
"""Photos in one encoder pass."""
MAX_WEIGHT = 1e6
"""Scores are float32; what matters of the weights is their ratio."""
UNCALIBRATED = "uncalibrated: scores rank places, they are not probabilities"


class Geolocator:
    """A verified index with the model that made it; safe to share between threads.

    Scores are exact: every cell is scored against the photo's one vector s, as
    ``rs_weight * cos(s, z) + location_weight * cos(s, l)``. Both cosines are inner products with
    the same s, so the weights can change from query to query without encoding anything again.
    """

    def __init__(self, index: Index, model: Gair) -> None:
        record = index.manifest.model
        found = model.fingerprint()
        if found != record.fingerprint:
            raise IndexMismatchError(
                f"index {index.name!r} was built by model {record.name} "
                f"({record.fingerprint[:12]}) and cannot be searched with {model.info.name} "
                f"({found[:12]}): rebuild it, or pass the model that built it ({record.source})"
            )
        self.index = index
        self.model = model
        try:  # TEMPORARY until indexer/calibration.py exists
            from indexer.calibration import load_calibration
        except ImportError:
            self.calibration = None
        else:
            self.calibration = load_calibration(index.path.parent, index.manifest.build, found)

    @functools.cached_property
    def field(self) -> CellField:
        """The index's cells as points and areas."""
        return CellField(self.index.cells.lonlat_deg, self.index.cells.area_m2)

    def cell_row(self, lonlat_deg: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The row of the cell that contains each of (Q, 2) points; -1 outside the index."""
        ids = cells_at(lonlat_deg, self.index.manifest.h3_resolution)
        known = self.index.cells.h3  # ascending
        row = np.minimum(np.searchsorted(known, ids), len(known) - 1)
        return np.where(known[row] == ids, row, -1)

    @classmethod
    def open(
        cls,
        index: str | Path | None = None,
        *,
        indexes_dir: str | Path = "indexes",
        model: Gair | str | None = None,
    ) -> Geolocator:
        """Open an index by name or path and load its model.

        Args:
            index: name of the index, or path of its folder; the only one there is if not given.
            indexes_dir: folder of all indexes.
            model: a loaded model or where to load it from; what the manifest names if not given.
        """
        from gair.model import Gair as GairModel

        opened = open_index(find_index(index, indexes_dir))
        if model is None:
            source = opened.manifest.model.source
            try:
                model = GairModel.from_pretrained(source)
            except ModelError as error:
                raise ModelError(
                    f"cannot load the model of index {opened.name!r}: {error}; pass it with --model"
                ) from error
        elif isinstance(model, str):
            model = GairModel.from_pretrained(model)
        return cls(opened, model)

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self.index.manifest.model.name

    @property
    def model_licence(self) -> str:
        """Licence of the model's weights."""
        return self.index.manifest.model.licence

    @property
    def trained(self) -> bool:
        """False when the model's weights are random."""
        return self.index.manifest.model.trained

    @property
    def attribution(self) -> str:
        """What the imagery and the region ask to be shown."""
        manifest = self.index.manifest
        parts = [str(manifest.imagery["attribution"]), str(manifest.region["attribution"])]
        return "; ".join(part for part in parts if part)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before believing an answer."""
        return (*self.index.manifest.warnings, UNCALIBRATED)

    @property
    def merge_radius_m(self) -> float:
        """Closer cells are one place: a token of imagery, or 1.5 cells where they are coarser."""
        cells = self.index.cells
        spacing_m = float(np.sqrt(cells.area_m2.mean() * 2 / np.sqrt(3)))
        latitude_deg = float(cells.lonlat_deg[:, 1].mean())
        config = self.model.config
        token_m = config.footprint_ground_m(latitude_deg) / config.rs_grid
        return max(token_m, 1.5 * spacing_m)

    def embed(self, photos: Sequence[Photo]) -> npt.NDArray[np.float32]:
        """The vectors s of photos, (P, D), unit length."""
        import torch

        vectors = []
        for start in range(0, len(photos), PHOTOS_AT_ONCE):
            arrays = [np.array(p.rgb) for p in photos[start : start + PHOTOS_AT_ONCE]]
            pixels = street_view_pixels(arrays, self.model.config.sv_image_px)
            with torch.inference_mode():
                s = self.model.encode_street_view(pixels.to(self.model.device))
            vectors.append(s.float().cpu().numpy())
        found = np.concatenate(vectors)
        if not np.isfinite(found).all():
            raise ModelError(f"model {self.model_name} gave vectors that are not finite: reload it")
        return found

    @overload
    def search(
        self,
        image: list[Any] | tuple[Any, ...],
        *,
        k: int = ...,
        rs_weight: float = ...,
        location_weight: float = ...,
        merge_radius_m: float | None = ...,
    ) -> list[Answer]: ...

    @overload
    def search(
        self,
        image: PhotoSource,
        *,
        k: int = ...,
        rs_weight: float = ...,
        location_weight: float = ...,
        merge_radius_m: float | None = ...,
    ) -> Answer: ...

    def search(
        self,
        image: PhotoSource | list[Any] | tuple[Any, ...],
        *,
        k: int = 5,
        rs_weight: float = 0.5,
        location_weight: float = 0.5,
        merge_radius_m: float | None = None,
    ) -> Answer | list[Answer]:
        """Where a photo may have been taken.

        Args:
            image: a path, the bytes of a file, a PIL image, an array (H, W, 3), a photo from
                :func:`gair.photos.open_photo`, or a list of them.
            k: how many places.
            rs_weight: weight of the imagery's cosine, 0 to :data:`MAX_WEIGHT`.
            location_weight: weight of the location embedding's cosine, 0 to the same.
            merge_radius_m: cells closer than this are one place; :attr:`merge_radius_m` if None.

        Returns:
            One answer, or a list of answers for a list.

        Raises:
            PhotoError: a photo cannot be read; nothing is answered for a list that holds one.
            UsageError: k or a weight makes no sense.
        """
        _check_query(k, rs_weight, location_weight, merge_radius_m)
        radius_m = self.merge_radius_m if merge_radius_m is None else merge_radius_m
        weights = (rs_weight, location_weight)
        if not isinstance(image, list | tuple):
            return self._answers([image], k, weights, radius_m)[0]
        answers: list[Answer] = []
        for start in range(0, len(image), PHOTOS_AT_ONCE):  # decoded photos are large
            some = image[start : start + PHOTOS_AT_ONCE]
            answers += self._answers(some, k, weights, radius_m)
        return answers

    def _answers(
        self, sources: Sequence[PhotoSource], k: int, weights: tuple[float, float], radius_m: float
    ) -> list[Answer]:
        """Answers of photos that pass the encoder together."""
        photos = [p if isinstance(p, Photo) else open_photo(p) for p in sources]
        s = self.embed(photos)
        rs = self.index.rs.scores(s)
        location = self.index.location.scores(s)
        answers = []
        for number, photo in enumerate(photos):
            fused = weights[0] * rs[number] + weights[1] * location[number]
            places = distinct_places(fused, self.index.cells.lonlat_deg, k, radius_m)
            scored = [
                self._candidate(rank, place, fused, rs[number], location[number])
                for rank, place in enumerate(places, start=1)
            ]
            answers.append(self._answer(photo, scored, *weights))
        return answers

    def _candidate(
        self,
        rank: int,
        place: Place,
        fused: npt.NDArray[np.float32],
        rs: npt.NDArray[np.float32],
        location: npt.NDArray[np.float32],
    ) -> Candidate:
        cells = self.index.cells
        lon_deg, lat_deg = (float(v) for v in cells.lonlat_deg[place.row])
        return Candidate(
            rank=rank,
            lon_deg=lon_deg,
            lat_deg=lat_deg,
            h3_cell=cell_hex(int(cells.h3[place.row])),
            row=place.row,
            score=float(fused[place.row]),
            rs_score=float(rs[place.row]),
            location_score=float(location[place.row]),
            merged_cells=place.merged,
            spread_m=place.spread_m,
        )

    def _answer(
        self, photo: Photo, candidates: list[Candidate], rs_weight: float, location_weight: float
    ) -> Answer:
        return Answer(
            photo=photo.name,
            candidates=tuple(candidates),
            index=self.index.name,
            build=self.index.manifest.build,
            cells_searched=len(self.index.cells),
            rs_weight=rs_weight,
            location_weight=location_weight,
            model=self.model_name,
            model_licence=self.model_licence,
            trained=self.trained,
            attribution=self.attribution,
            warnings=self.warnings,
            photo_gps_lonlat_deg=photo.gps_lonlat_deg,
        )


def search(
    image: PhotoSource | list[Any] | tuple[Any, ...],
    *,
    index: str | Path | None = None,
    indexes_dir: str | Path = "indexes",
    k: int = 5,
    rs_weight: float = 0.5,
    location_weight: float = 0.5,
) -> Answer | list[Answer]:
    """Where a photo may have been taken: :meth:`Geolocator.search` on an index by name.

    The index and its model stay loaded between calls, until a newer build takes over.
    """
    folder = find_index(index, indexes_dir).resolve()
    geolocator = _opened(folder, *read_current(folder))
    return geolocator.search(image, k=k, rs_weight=rs_weight, location_weight=location_weight)


@functools.lru_cache(maxsize=2)
def _opened(folder: Path, build: str, manifest_sha256: str) -> Geolocator:
    """A build never changes, so it can be kept; a new build has another key."""
    return Geolocator.open(folder)


def _check_query(
    k: int, rs_weight: float, location_weight: float, merge_radius_m: float | None
) -> None:
    if not isinstance(k, int) or k < 1:
        raise UsageError(f"k is {k!r}: ask for one place or more, a whole number")
    weights = (rs_weight, location_weight)
    if not all(0 <= w <= MAX_WEIGHT for w in weights) or not any(weights):  # NaN fails, too
        raise UsageError(
            f"weights {rs_weight:g} (rs) and {location_weight:g} (location): both must be 0 to "
            f"{MAX_WEIGHT:g} and one of them above 0"
        )
    if merge_radius_m is not None and not (np.isfinite(merge_radius_m) and merge_radius_m >= 0):
        raise UsageError(f"merge radius {merge_radius_m} m: it must be 0 or more")
