"""Engine behind page and API: indexes by name, photos in, answers out, within limits.

Every question goes the same way. It is **admitted**, or refused at once where too many are in the
server. Its photos are checked and **decoded**, a few at a time. Photos that wait at the same moment
pass the encoder **together** (:mod:`app.engine.batches`). Each question then ranks its own cells,
again a few at a time, and the places of those that are ranked are refined together. All of it has
to end in time. Nothing here knows of HTTP.
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Unpack

from app.engine.admission import Admission
from app.engine.batches import Batcher, Sharing
from app.engine.decoding import Decoder, check_costs
from app.engine.indexes import Indexes
from app.engine.limits import MOST_PHOTOS, MOST_PLACES, Limits
from app.engine.memory import trim
from app.engine.score_cache import ScoreCache, without_pixels
from app.engine.uploads import Upload, Uploads, check_upload, plain_name
from gair.errors import PhotoError, UsageError
from gair.files import read_file
from gair.processes.threads import threads_beside_others, torch_threads

if TYPE_CHECKING:
    from gair.photos.photo import Photo
    from indexer.explore.compare import PhotoPair
    from indexer.explore.near_photos import NearPhotos, PhotoOrder
    from indexer.explore.similar import SimilarPlaces
    from indexer.photos.encoder import Runtime
    from indexer.probability.verdicts import Verdict
    from indexer.search.answer import Answer
    from indexer.search.geolocator import Geolocator
    from indexer.search.maps.heatmap import HeatMap
    from indexer.search.maps.make_heatmap import Of
    from indexer.search.prior import Prior
    from indexer.search.query import QueryFields
    from indexer.search.ranking import Draft
    from indexer.search.scored import Scored, Seen
    from indexer.search.token_reader import TokenReader

Made = TypeVar("Made")
PhotoInput: TypeAlias = str | os.PathLike[str] | bytes | Upload
"""A photo: the path of an upload, the bytes of a file, or those with a name."""


class Engine:
    """Answers questions about photos on the indexes of one folder; safe to share between threads.

    All methods raise :class:`gair.errors.GairError` and nothing else on purpose.
    """

    def __init__(
        self, indexes: Indexes, limits: Limits | None = None, uploads: Uploads | None = None
    ) -> None:
        """Nothing is opened yet.

        Args:
            indexes: what can be asked.
            limits: how much is taken on.
            uploads: where paths lead; without it a path is that of any file, which is right in a
                script and wrong in a server.
        """
        self.indexes = indexes
        self.limits = limits or Limits()
        self.uploads = uploads
        self.encoder: Batcher[Geolocator, Photo, Seen] = Batcher(
            self.limits.batch_photos, _seen_batch, "encoder"
        )
        """Encodes photos, and counts its passes."""
        self._refining = Sharing(self.limits.batch_photos, _finish_batch)
        self._cache = ScoreCache(self.limits.scored_mb * 1e6)
        self._workers = threading.BoundedSemaphore(self.limits.workers)
        self._decoder = Decoder(self.limits, self._working)
        self.admission = Admission(self.limits.max_waiting, self.limits.timeout_s)
        """Counts the questions, and refuses them while the engine is being closed."""

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        model: str | None = None,
        limits: Limits | None = None,
        runtime: Runtime = "torch",
    ) -> Engine:
        """The engine of a folder of indexes, for scripts and tests."""
        return cls(Indexes(Path(folder), model, runtime), limits)

    def search(
        self,
        name: str,
        photos: Sequence[PhotoInput],
        *,
        same_place: bool = True,
        **query: Unpack[QueryFields],
    ) -> Answer:
        """Where the photos of one place may have been taken: :meth:`Geolocator.search`.

        Raises:
            UsageError: a field of the query makes no sense, or there are too many photos.
            PhotoError: a photo cannot be read, or must not be.
            SearchIndexError: there is no such index, or it cannot be used.
            BusyError: too many questions wait already.
            UnavailableError: it took too long, or the server is stopping.
        """
        from indexer.search.query import Query

        checked = Query(**query)
        checked.check()
        _check_count(query.get("k", 1), "places")
        if not same_place:
            raise UsageError("the photos of one question are of one place: ask for each by itself")
        with self._question(name) as (geo, deadline):
            seen = self._seen(geo, photos, deadline)
            with self._working(deadline):
                draft = geo.draft(_together(seen), checked)
            # Given back in between, so that drafts of several questions gather to be refined.
            seat = self._working(deadline)
            return self._refining.result(draft.reader, draft, seat, deadline)

    def verify(
        self,
        name: str,
        photos: Sequence[PhotoInput],
        lon_deg: float,
        lat_deg: float,
        radius_m: float = 500.0,
        *,
        prior_odds: float | None = None,
        claim_number: int = 1,
    ) -> Verdict:
        """Whether photos may have been taken where somebody says: :meth:`Geolocator.verify`.

        Raises:
            GairError: as for :meth:`search`.
        """
        from indexer.probability.verdicts import check_claim

        check_claim((lon_deg, lat_deg), radius_m)
        with self._every_cell(name, photos) as (geo, scored):
            return geo.verify(
                scored,
                lon_deg,
                lat_deg,
                radius_m,
                prior_odds=prior_odds,
                claim_number=claim_number,
            )

    def heatmap(
        self,
        name: str,
        photos: Sequence[PhotoInput],
        of: Of = "posterior",
        prior: Prior | None = None,
    ) -> HeatMap:
        """Every cell of the index as the photos see it: :meth:`Geolocator.heatmap`.

        Raises:
            GairError: as for :meth:`search`.
        """
        with self._every_cell(name, photos) as (geo, scored):
            return geo.heatmap(scored, of=of, prior=prior)

    def compare(
        self,
        name: str,
        photo_a: PhotoInput,
        photo_b: PhotoInput,
        prior_probability: float = 0.5,
    ) -> PhotoPair:
        """How alike two photos are to the model of an index, and how likely they are of one place.

        Raises:
            GairError: as for :meth:`search`.
        """
        from indexer.explore.compare import compare_seen

        with self._question(name) as (geo, deadline):
            (_, first), (_, second) = self._seen(geo, [photo_a, photo_b], deadline)
            with self._working(deadline):
                return compare_seen(geo, first, second, prior_probability)

    def similar(
        self,
        name: str,
        like_lonlat_deg: Sequence[tuple[float, float]],
        unlike_lonlat_deg: Sequence[tuple[float, float]] = (),
        *,
        k: int = 10,
        apart_m: float | None = None,
    ) -> SimilarPlaces:
        """Places that look like some examples: :func:`indexer.explore.similar.similar_places`.

        Raises:
            GairError: as for :meth:`search`.
        """
        from indexer.explore.similar import similar_places

        _check_count(k, "places")
        with self._index(name) as geo:
            return similar_places(geo, like_lonlat_deg, unlike_lonlat_deg, k=k, apart_m=apart_m)

    def photos_near(
        self,
        name: str,
        lon_deg: float,
        lat_deg: float,
        *,
        k: int = 10,
        order: PhotoOrder = "distance",
    ) -> NearPhotos:
        """The reference photos of a place: :func:`indexer.explore.near_photos.photos_near_place`.

        Raises:
            GairError: as for :meth:`search`.
        """
        from indexer.explore.near_photos import photos_near_place

        _check_count(k, "photos")
        with self._index(name) as geo:
            return photos_near_place(geo, lon_deg, lat_deg, k=k, order=order)

    def picture(self, upload: Upload, make: Callable[[Photo], Made]) -> Made:
        """What is made of a photo to be looked at, such as a small picture of it.

        Raises:
            GairError: as for :meth:`search`.
        """
        with self.admission.question() as deadline:
            checked = self._upload(upload)
            return self._decoder.made(checked, make, deadline)

    def warm(self, name: str) -> None:
        """Open an index and answer one question of each kind, so that nobody waits for the first.

        Raises:
            GairError: the index or its model cannot be used.
        """
        geo = self.indexes.get(name)
        scored = geo.every_cell(geo.seen([_noise()])[0])
        geo.search(scored)
        lon_deg, lat_deg = (float(v) for v in geo.index.cells.lonlat_deg[0])
        geo.verify(scored, lon_deg, lat_deg)
        geo.heatmap(scored)

    def sweep(self) -> None:
        """Let go of photos, scores and memory that were kept long enough; called now and then."""
        self._cache.sweep()
        if self.uploads is not None:
            self.uploads.sweep()
        trim()

    def close(self, patience_s: float = 10.0) -> None:
        """Refuse new questions, and finish those that are being answered."""
        self.admission.close(patience_s)
        self.encoder.close()
        self.indexes.close()

    @contextmanager
    def _question(self, name: str) -> Iterator[tuple[Geolocator, float]]:
        """One question about an index, and the moment when its time is up.

        Raises:
            IndexCorruptError: the index was found to be damaged; meanwhile counts, too.
        """
        with self.admission.question() as deadline:
            geo = self.indexes.get(name)
            yield geo, deadline
            geo.index.require_sound()

    @contextmanager
    def _working(self, deadline: float) -> Iterator[None]:
        """One of the few that may keep the processor busy."""
        if not self._workers.acquire(timeout=_left(deadline)):
            raise TimeoutError
        try:
            yield
        finally:
            self._workers.release()

    def _seen(
        self, geo: Geolocator, photos: Sequence[PhotoInput], deadline: float
    ) -> list[tuple[str, Seen]]:
        """Each photo of one place, with the hash of its content, as a search needs it."""
        if not 1 <= len(photos) <= MOST_PHOTOS:
            raise UsageError(
                f"{len(photos)} photos: give one, or up to {MOST_PHOTOS} of the same place"
            )
        uploads = [self._upload(photo) for photo in photos]
        hashes = [hashlib.sha256(upload.content).hexdigest() for upload in uploads]
        check_costs(list(dict(zip(hashes, uploads, strict=True)).values()), self.limits)
        seen = {h: kept for h in hashes if (kept := self._cache.get(_key(geo), h))}
        new = {h: upload for h, upload in zip(hashes, uploads, strict=True) if h not in seen}
        if new:
            seen |= self._encode(geo, new, deadline)
        # Equal photos share their scores, and each keeps the name that it was sent under.
        return [
            (h, replace(seen[h], photos=(replace(seen[h].photos[0], name=upload.name),)))
            for h, upload in zip(hashes, uploads, strict=True)
        ]

    def _encode(
        self, geo: Geolocator, uploads: Mapping[str, Upload], deadline: float
    ) -> dict[str, Seen]:
        """Photos as a search needs them, by the hash of their content."""
        from indexer.photos.encoder import prepare_photo

        # One after the other, and only what the encoder takes is kept of each: decoded, eight of
        # the largest would fill the memory.
        photos = [
            self._decoder.made(
                upload, functools.partial(prepare_photo, geo.model, content=h), deadline
            )
            for h, upload in uploads.items()
        ]
        encoded = self.encoder.results(geo, photos, _left(deadline))
        slim = {h: without_pixels(seen, h) for h, seen in zip(uploads, encoded, strict=True)}
        for h, seen in slim.items():
            self._cache.put(_key(geo), h, seen)
        return slim

    @contextmanager
    def _every_cell(
        self, name: str, photos: Sequence[PhotoInput]
    ) -> Iterator[tuple[Geolocator, Scored]]:
        """An index, and photos with every cell scored, which a search may have gone without."""
        with self._question(name) as (geo, deadline):
            seen = self._seen(geo, photos, deadline)
            with self._working(deadline):
                scored = geo.every_cell(_together(seen))
                for (h, before), after in zip(seen, scored.one_by_one(), strict=True):
                    if type(before) is not type(after):  # scored now: remembered for the next one
                        self._cache.put(_key(geo), h, without_pixels(after, h))
                yield geo, scored

    @contextmanager
    def _index(self, name: str) -> Iterator[Geolocator]:
        """An index, for a question without a photo whose turn it is."""
        with self._question(name) as (geo, deadline):
            with self._working(deadline):
                yield geo

    def _upload(self, photo: PhotoInput) -> Upload:
        if isinstance(photo, Upload):
            upload = replace(photo, name=plain_name(photo.name))
        elif isinstance(photo, bytes):
            upload = Upload("photo", photo)
        elif self.uploads is not None:
            upload = self.uploads.take(photo)
        else:
            try:
                upload = Upload(plain_name(os.fspath(photo)), read_file(photo))
            except (OSError, ValueError) as error:
                raise PhotoError(f"cannot read {photo}: name a photo you may read") from error
        check_upload(upload, self.limits)
        return upload


def _key(geo: Geolocator) -> Hashable:
    """What scores are kept by: a build that is opened again since it was mended has others."""
    return (geo.index.path, geo.index.later)


def _check_count(k: int, what: str) -> None:
    if k > MOST_PLACES:
        raise UsageError(f"k is {k}: ask for {MOST_PLACES} {what} or fewer")


def _left(deadline: float) -> float:
    """Seconds that are left; 0 when time is up."""
    return max(0.0, deadline - time.monotonic())


def _together(seen: Sequence[tuple[str, Seen]]) -> Seen:
    """The photos of one place; one photo as it is, without a copy of its scores."""
    from indexer.search.scored import Seen

    return seen[0][1] if len(seen) == 1 else Seen.together([photo for _, photo in seen])


def _seen_batch(geolocator: Geolocator, photos: list[Photo]) -> Sequence[Seen]:
    with torch_threads(threads_beside_others(geolocator.model.config.dim)):
        return geolocator.seen(photos)


def _finish_batch(reader: TokenReader | None, drafts: list[Draft]) -> Sequence[Answer]:
    from indexer.search.ranking import finished

    narrow = threads_beside_others(reader.model.config.dim) if reader else 0
    with torch_threads(narrow):
        return finished(drafts)


def _noise() -> Any:  # noqa: ANN401 - a NumPy array, which loads late
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
