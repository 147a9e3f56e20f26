"""Encoder of photos: the model of an index as it turns photos into vectors s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gair.arrays import Floats32
from gair.encoders.precision import Precision, photo_tower
from gair.errors import IndexMismatchError, ModelError
from gair.photos.photo import Photo
from gair.preprocess import model_input
from indexer.photos.models import MODELS

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.index.index import Index

PHOTOS_AT_ONCE = 16
"""Photos in one encoder pass."""


class Encoder(Protocol):
    """An index and its model, which encodes photos: a geolocator, or an :class:`IndexEncoder`."""

    @property
    def index(self) -> Index:
        """The index, whose manifest names the model."""

    @property
    def model(self) -> Gair:
        """The model that made the index."""

    def embed(self, photos: Sequence[Photo]) -> Floats32:
        """The vectors s of photos, (P, D), unit length."""


@dataclass(frozen=True)
class IndexEncoder:
    """An index and its model, without what searching needs."""

    index: Index
    model: Gair

    def __post_init__(self) -> None:
        check_model(self.index, self.model)

    def embed(self, photos: Sequence[Photo]) -> Floats32:
        """The vectors s of photos, (P, D), unit length."""
        return encode_photos(self.model, photos, self.index.manifest.model.name)


def check_model(index: Index, model: Gair) -> str:
    """The fingerprint of a model that made an index.

    Raises:
        IndexMismatchError: another made it.
    """
    record = index.manifest.model
    fingerprint = model.fingerprint()
    if fingerprint != record.fingerprint:
        raise IndexMismatchError(
            f"index {index.name!r} was built by model {record.name} "
            f"({record.fingerprint[:12]}) and cannot be searched with {model.info.name} "
            f"({fingerprint[:12]}): rebuild it, or pass the model that built it "
            f"({record.source})"
        )
    return fingerprint


def load_model(index: Index, model: Gair | str | None = None) -> Gair:
    """The model of an index; indexes of one model get the same.

    Args:
        index: open.
        model: a loaded model or where to load it from; what the manifest names if not given.

    Raises:
        ModelError: it cannot be loaded.
    """
    record = index.manifest.model
    if isinstance(model, str):
        return MODELS.get(model, record.fingerprint)
    if model is not None:
        return model
    try:
        return MODELS.get(record.source, record.fingerprint)
    except ModelError as error:
        raise ModelError(
            f"cannot load the model of index {index.name!r}: {error}; pass it with --model"
        ) from error


def encode_photos(
    model: Gair, photos: Sequence[Photo], name: str, precision: Precision = "float32"
) -> Floats32:
    """The vectors s of photos, (P, D), unit length.

    Args:
        model: in evaluation mode.
        photos: any number; few pass the encoder at a time.
        name: of the model, for errors.
        precision: type that matrix products are computed in.

    Raises:
        ModelError: a vector is not finite.
    """
    import torch

    encode = photo_tower(model) if precision == "bfloat16" else model.encode_street_view
    vectors = []
    for start in range(0, len(photos), PHOTOS_AT_ONCE):
        block = photos[start : start + PHOTOS_AT_ONCE]
        pixels = torch.stack([model_input(photo, model.config.sv_image_px) for photo in block])
        with torch.inference_mode():
            encoded = encode(pixels.to(model.device))
        vectors.append(encoded.float().cpu().numpy())
    s: Floats32 = np.concatenate(vectors)
    if not np.isfinite(s).all():
        raise ModelError(f"model {name} gave vectors that are not finite: reload it")
    return s
