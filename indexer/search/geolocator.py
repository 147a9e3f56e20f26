"""Geolocator: an open index with its model, which takes photos and gives answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
import numpy.typing as npt

from gair.encoders.precision import Precision, WantedPrecision, choose_precision
from gair.errors import PhotoError, UsageError
from gair.onnx.street_view import OnnxStreetView
from gair.photos.photo import Photo, UnreadPhoto, open_photo
from indexer.ground.likelihood import GroundField
from indexer.ground.likeness import Comparison
from indexer.ground.reference_photos import open_reference_photos
from indexer.index.index import Index, find_index, open_index
from indexer.index.milvus import with_store
from indexer.photos.encoder import (
    PHOTOS_AT_ONCE,
    Runtime,
    check_model,
    encode_photos,
    load_model,
    load_photo_tower,
)
from indexer.photos.models import MODELS
from indexer.probability.calibration import load_calibration
from indexer.probability.claim_context import Context
from indexer.probability.evidence import prior_odds_of
from indexer.probability.open_world import EVEN
from indexer.probability.verdicts import Verdict, of_photo, verify_claim
from indexer.search.answer import Answer
from indexer.search.query import Query, QueryFields
from indexer.search.ranking import Draft, draft_of, finished
from indexer.search.scored import Scored, Seen, cell_posterior, posteriors, why_not
from indexer.search.shortlist import looks_at_all, shortlist_draft
from indexer.search.space import SearchSpace

if TYPE_CHECKING:
    from gair.model import Gair
    from gair.photos.sources import PhotoSource as ReadableSource
    from indexer.index.later_checks import LaterChecks
    from indexer.search.maps.heatmap import HeatMap
    from indexer.search.maps.make_heatmap import Of
    from indexer.search.prior import Prior

    PhotoSource = ReadableSource | Photo | UnreadPhoto
    OnePlace = PhotoSource | Seen | list[Any] | tuple[Any, ...]


OnError = Literal["raise", "collect"]
"""What a photo of a list that cannot be read does: end the search, or stand in its answer's place
as its :class:`~gair.errors.PhotoError`."""


class Geolocator:
    """A verified index with the model that made it; safe to share between threads.

    Scores are exact: a cell is scored against the photo's one vector s, as
    ``rs_weight * cos(s, z) + location_weight * cos(s, l)``. Every cell is, unless the index is so
    large that a search looks at the likely ones only (:mod:`indexer.search.shortlist`). Both
    cosines are inner products with the same s, so the weights can change from query to query
    without encoding anything again.
    """

    def __init__(
        self,
        index: Index,
        model: Gair,
        precision: WantedPrecision = "auto",
        *,
        later: LaterChecks | None = None,
    ) -> None:
        fingerprint, folder = check_model(index, model), index.path.parent
        calibration = load_calibration(folder, index.manifest.build, fingerprint)
        references = open_reference_photos(folder, later=later)
        ground = None
        if references is not None:
            ground = GroundField(Comparison(references), index.cells.lonlat_deg, index.rs.vectors)
        if calibration is not None:
            of_set = None if references is None else references.manifest.content_sha256
            calibration = calibration.beside(of_set)
        self.space = SearchSpace(index, model, calibration, ground=ground)
        """Its cells with all that a search asks of them, its warnings and its attribution."""
        self.index = index
        self.model = model
        self.calibration = calibration
        """How far answers can be believed; None where that was not measured."""
        self.precision = _precision_of(precision, model)
        """Type that photos to answer are encoded in."""
        self._store: str | None = None

    def __reduce__(self) -> tuple[Callable[..., Geolocator], tuple[Any, ...]]:
        folder = self.index.path.parent.resolve()
        return _reopened, (folder, model_to_reopen(self), self._store, self.precision)

    @classmethod
    def open(
        cls,
        index: str | Path | None = None,
        *,
        indexes_dir: str | Path | None = None,
        model: Gair | str | None = None,
        store: str | None = None,
        precision: WantedPrecision = "auto",
        runtime: Runtime = "torch",
        later: LaterChecks | None = None,
    ) -> Geolocator:
        """Open an index by name or path and load its model, unless an open index shares it.

        It can be pickled and copied: the copy opens the index again, by its path, at the build that
        serves then.

        Args:
            index: name of the index, or path of its folder; the only one there is if not given.
            indexes_dir: folder of all indexes; $GAIR_INDEXES or ``indexes`` if not given.
            model: a loaded model or where to load it from; what the manifest names if not given.
            store: where the vectors are, if not in the index's own files
                (:mod:`indexer.index.milvus`).
            precision: type that photos to answer are encoded in: ``auto`` is bfloat16 where this
                CPU multiplies in it and the model gains. :meth:`embed` is always float32.
            runtime: ``onnx`` encodes photos by the tower that ``python -m gair export-onnx`` wrote
                and imports no torch; ``model`` is then the folder it is in, if not the usual one.
                Places are then the centres of cells: nothing reads between them.
            later: takes large files, to be checked while the index is open
                (:mod:`indexer.index.later_checks`); without it all are checked first.
        """
        opened = open_index(find_index(index, indexes_dir), later=later)
        if store is not None:
            opened = with_store(opened, store)
        if runtime == "onnx":
            geolocator = cls(opened, load_photo_tower(opened, model), precision, later=later)
        else:
            geolocator = cls(opened, load_model(opened, model), precision, later=later)
        geolocator._store = store
        return geolocator

    def embed(self, photos: Sequence[Photo]) -> npt.NDArray[np.float32]:
        """The vectors s of photos, (P, D), unit length, by float32: for measuring and keeping."""
        return encode_photos(self.model, photos, self.index.manifest.model.name)

    @overload
    def search(
        self,
        image: list[Any] | tuple[Any, ...],
        *,
        same_place: Literal[True],
        on_error: Literal["raise"] = ...,
        **query: Unpack[QueryFields],
    ) -> Answer: ...

    @overload
    def search(
        self,
        image: list[Any] | tuple[Any, ...],
        *,
        same_place: Literal[False] = ...,
        on_error: Literal["raise"] = ...,
        **query: Unpack[QueryFields],
    ) -> list[Answer]: ...

    @overload
    def search(
        self,
        image: list[Any] | tuple[Any, ...],
        *,
        same_place: Literal[False] = ...,
        on_error: Literal["collect"],
        **query: Unpack[QueryFields],
    ) -> list[Answer | PhotoError]: ...

    @overload
    def search(
        self,
        image: PhotoSource | Seen,
        **query: Unpack[QueryFields],
    ) -> Answer: ...

    def search(
        self,
        image: OnePlace,
        *,
        same_place: bool = False,
        on_error: OnError = "raise",
        **query: Unpack[QueryFields],
    ) -> Answer | Sequence[Answer | PhotoError]:
        """Where a photo may have been taken.

        Args:
            image: what :func:`gair.photos.photo.open_photo` reads (a path, an open file, bytes, a
                PIL image, an array, a tensor), what it gave, or a list of them; or what
                :meth:`seen` made of the photos of one place.
            same_place: whether the photos of a list are of one place, some 30 m across, and get
                one answer.
            on_error: of a list of photos of different places, ``raise`` the error of the first one
                that cannot be read, or ``collect``: it stands in the place of the answer.
            **query: the fields of :class:`indexer.search.query.Query`: ``k`` places, ``rs_weight``
                and ``location_weight``, ``merge_radius_m``, a ``prior``, an
                ``elsewhere_prior`` and whether to ``refine``.

        Returns:
            One answer, or a list of answers for a list of photos of different places.

        Raises:
            PhotoError: a photo cannot be read; nothing is answered for a list that holds one,
                unless its errors are collected.
            UsageError: k or a weight makes no sense, or there is no photo of the one place.
        """
        if isinstance(image, list | tuple) and not same_place:
            return list(self.search_each(image, on_error=on_error, **query))
        if on_error != "raise":
            raise UsageError(
                f"`on_error` {on_error!r} is for a list of photos of different places: leave it out"
            )
        checked = Query(**query)
        checked.check()
        return finished([self.draft(self._one_place(image), checked)])[0]

    @overload
    def search_each(
        self,
        images: Iterable[PhotoSource],
        *,
        on_error: Literal["raise"] = ...,
        **query: Unpack[QueryFields],
    ) -> Iterator[Answer]: ...

    @overload
    def search_each(
        self,
        images: Iterable[PhotoSource],
        *,
        on_error: OnError,
        **query: Unpack[QueryFields],
    ) -> Iterator[Answer | PhotoError]: ...

    def search_each(
        self,
        images: Iterable[PhotoSource],
        *,
        on_error: OnError = "raise",
        **query: Unpack[QueryFields],
    ) -> Iterator[Answer | PhotoError]:
        """Answers about photos of different places as they come, in memory that does not grow.

        Args:
            images: any number of photos as for :meth:`search`; they are read as they are needed.
            on_error: as for :meth:`search`.
            **query: the same.

        Yields:
            An answer a photo, in their order.

        Raises:
            PhotoError: a photo cannot be read; those before it have been answered.
            UsageError: k or a weight makes no sense.
        """
        if on_error not in ("raise", "collect"):
            raise UsageError(f"`on_error` {on_error!r}: choose 'raise' or 'collect'")
        checked = Query(**query)
        checked.check()
        return self._each(iter(images), on_error == "collect", checked)

    def _each(
        self, images: Iterator[PhotoSource], collects: bool, query: Query
    ) -> Iterator[Answer | PhotoError]:
        while block := list(itertools.islice(images, PHOTOS_AT_ONCE)):
            opened = [_opened(source, collects) for source in block]
            answers = iter(self._answers([p for p in opened if isinstance(p, Photo)], query))
            for photo in opened:
                yield next(answers) if isinstance(photo, Photo) else photo

    def _answers(self, photos: Sequence[Photo], query: Query) -> list[Answer]:
        """Answers about photos of different places, few enough for one pass."""
        return [
            answer
            for seen in self._seen(photos)
            for answer in finished([self.draft(photo, query) for photo in self._ready(seen)])
        ]

    def draft(self, seen: Seen, query: Query) -> Draft:
        """What :meth:`search` answers, but for refining it: that goes for many photos at once.

        Args:
            seen: what :meth:`seen` or :meth:`every_cell` made of the photos of one place.
            query: a checked query.
        """
        seen = seen.distinct()
        if self.index.shortlists is None or looks_at_all(self.space, query):
            return draft_of(self.space, self.every_cell(seen), query)
        return shortlist_draft(self.space, seen, query)

    def verify(
        self,
        image: OnePlace,
        lon_deg: float,
        lat_deg: float,
        radius_m: float = 500.0,
        *,
        prior_odds: float | None = None,
        prior_probability: float | None = None,
        claim_number: int = 1,
    ) -> Verdict:
        """Whether a photo may have been taken where somebody says it was.

        Args:
            image: a photo as for :meth:`search`, or a list of photos of the one place.
            lon_deg: longitude of the claimed place.
            lat_deg: its latitude.
            radius_m: how far from there it may have been taken.
            prior_odds: of the claim, before the photo is looked at, for posterior odds.
            prior_probability: the same as a probability; give one of the two.
            claim_number: which claim on the photo this is; more claims find more false ones.

        Raises:
            PhotoError: a photo cannot be read.
            UsageError: the place is not on Earth, or the radius or the prior makes no sense.
        """
        odds = prior_odds_of(prior_odds, prior_probability)
        Context(odds, claim_number=claim_number).check()
        scored = self.every_cell(self._one_place(image))
        space, weights = self.space, self.space.weights
        ground = space.ground_evidence(scored.s, scored.cosines, weights, scored.left_out)
        answer = draft_of(space, scored, Query(refine=False)).answer
        p = answer.posterior
        if p is None:
            p = cell_posterior(space, scored, weights, ground=ground)
        each = None
        if len(scored.photos) > 1:
            each = posteriors(space, scored.rs, scored.location, weights, ground=ground)
        own = np.array([(place.lon_deg, place.lat_deg) for place in answer.candidates])
        context = Context(odds, own.reshape(-1, 2), answer.merge_radius_m, claim_number)
        place = (lon_deg, lat_deg)
        verdict = verify_claim(space, p, place, radius_m, each=each, context=context)
        verdict = replace(
            verdict,
            photos=scored.names,
            photo_sha256=scored.sha256,
            warnings=(*verdict.warnings, *scored.cautions),
        )
        against = why_not(answer.membership, answer.unlike, scored.shows_nothing)
        return of_photo(verdict, answer.membership, answer.unlike, against)

    def heatmap(
        self,
        image: OnePlace,
        *,
        of: Of = "posterior",
        prior: Prior | None = None,
        level: float = 0.9,
        elsewhere_prior: float = EVEN,
    ) -> HeatMap:
        """The whole index as one photo sees it, as in the paper's figure 4.

        Args:
            image: a photo as for :meth:`search`, or a list of photos of one place.
            of: ``imagery``, ``location``, ``ground`` or ``posterior``.
            prior: what is known before the photo is looked at; for the posterior only.
            level: how often the region drawn on a posterior holds the truth.
            elsewhere_prior: how likely it is, before a photo is looked at, that it was not taken in
                the index.

        Raises:
            PhotoError: a photo cannot be read.
            UsageError: there is no such map.
        """
        from indexer.search.maps.make_heatmap import make_heatmap

        scored = self.every_cell(self._one_place(image))
        return make_heatmap(
            self.space, scored, of, prior=prior, level=level, elsewhere_prior=elsewhere_prior
        )

    def _seen(self, sources: Sequence[PhotoSource]) -> Iterator[Seen]:
        """Photos and their (P, D) vectors, some at a time: decoded photos are large."""
        for start in range(0, len(sources), PHOTOS_AT_ONCE):
            block = sources[start : start + PHOTOS_AT_ONCE]
            photos = tuple(_photo(source) for source in block)
            name = self.index.manifest.model.name
            yield Seen(photos, encode_photos(self.model, photos, name, self.precision))

    def _one_place(self, image: OnePlace) -> Seen:
        """A photo, or the photos of one place, as the model sees them."""
        if isinstance(image, Seen):
            return image.distinct()
        sources = image if isinstance(image, list | tuple) else [image]
        if not sources:
            raise UsageError("no photos of the place: give one or more")
        return Seen.together(list(self._seen(sources))).distinct()

    def _ready(self, seen: Seen) -> Sequence[Seen]:
        """Photos of several places one by one, as a search looks at them."""
        shortlisted = self.index.shortlists is not None
        return seen.one_by_one() if shortlisted else self.every_cell(seen).one_by_one()

    def every_cell(self, seen: Seen) -> Scored:
        """Photos with every cell scored; what is scored already is not scored again."""
        if isinstance(seen, Scored):
            return seen
        return Scored.of(seen, *self.space.scores(seen.s))

    def seen(self, sources: Sequence[PhotoSource]) -> Sequence[Seen]:
        """Photos that pass the encoder together, each with what :meth:`search` needs of it.

        That is the scores of every cell, or of an index that is searched by shortlists no scores:
        :meth:`verify` and :meth:`heatmap` score its cells when they are asked.
        """
        return [photo for seen in self._seen(sources) for photo in self._ready(seen)]


def _precision_of(wanted: WantedPrecision, model: Gair | OnnxStreetView) -> Precision:
    if not isinstance(model, OnnxStreetView):
        return choose_precision(wanted, model)
    if wanted == "bfloat16":
        raise UsageError("`precision` bfloat16 is torch's: leave it out with the runtime onnx")
    return "float32"


def model_to_reopen(geolocator: Geolocator) -> Gair | str | None:
    """What another process opens the same index with: a source, or the model itself."""
    source = MODELS.source_of(geolocator.model)
    return geolocator.model if source is None else source


def _reopened(
    folder: Path, model: Gair | str | None, store: str | None, precision: Precision
) -> Geolocator:
    return Geolocator.open(folder, model=model, store=store, precision=precision)


def _photo(source: PhotoSource) -> Photo:
    if isinstance(source, UnreadPhoto):
        return source.read()
    return source if isinstance(source, Photo) else open_photo(source)


def _opened(source: PhotoSource, collects: bool) -> Photo | PhotoError:
    """A photo; where errors are collected, or its error."""
    try:
        return _photo(source)
    except PhotoError as error:
        if not collects:
            raise
        return error
