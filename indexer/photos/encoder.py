"""Encoder of photos: the model of an index as it turns photos into vectors s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, cast

import numpy as np

from gair.arrays import Floats32
from gair.encoders.precision import Precision, photo_tower
from gair.errors import IndexMismatchError, ModelError, UsageError
from gair.onnx.street_view import OnnxStreetView, onnx_folder, open_onnx
from gair.photos.photo import Photo
from gair.photos.prepared import PreparedPhoto, pixels_of, prepared
from gair.photos.squares import photo_squares
from indexer.photos.models import MODELS

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.index.index import Index

PHOTOS_AT_ONCE = 16
"""Photos in one encoder pass."""

Runtime = Literal["torch", "onnx"]
"""What computes: torch with all of a model, or onnxruntime with its photo tower."""


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


def load_photo_tower(index: Index, tower: Gair | str | None = None) -> Gair:
    """The photo tower of an index's model, as it was exported, in the place of the model.

    It has what a search at cells asks of a model, and torch is not needed.

    Args:
        index: open.
        tower: one that is open, or the folder that ``export-onnx`` wrote; the folder where it
            writes by itself if None.

    Raises:
        ModelError: there is none, or it is of other weights.
        UsageError: a model of torch is given.
    """
    given: object = tower  # a tower that is open goes by the name of a model
    if isinstance(given, OnnxStreetView):
        return cast("Gair", given)
    if not (tower is None or isinstance(tower, str)):
        raise UsageError("`model` with the runtime onnx is a folder of export-onnx: name it")
    record = index.manifest.model
    home = onnx_folder(record.fingerprint) if tower is None else Path(tower)
    return cast("Gair", open_onnx(home, record.fingerprint, record.source))


def runtime_of(model: Gair | OnnxStreetView) -> Runtime:
    """What a model computes by."""
    return "onnx" if isinstance(model, OnnxStreetView) else "torch"


def prepare_photo(model: Gair | OnnxStreetView, photo: Photo, content: str) -> PreparedPhoto:
    """A photo of which only what a model looks at is kept.

    Args:
        model: that will encode it.
        photo: decoded.
        content: a hash that tells it from other photos.
    """
    side = model.config.sv_image_px
    if isinstance(model, OnnxStreetView):
        return prepared(photo, _square(photo, side), content)
    from gair.preprocess import model_input

    return prepared(photo, model_input(photo, side).numpy(), content)


def encode_photos(
    model: Gair | OnnxStreetView,
    photos: Sequence[Photo],
    name: str,
    precision: Precision = "float32",
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
    blocks = [photos[at : at + PHOTOS_AT_ONCE] for at in range(0, len(photos), PHOTOS_AT_ONCE)]
    if isinstance(model, OnnxStreetView):
        s = np.concatenate([_by_onnx(model, block) for block in blocks])
    else:
        s = np.concatenate([_by_torch(model, block, precision) for block in blocks])
    if not np.isfinite(s).all():
        raise ModelError(f"model {name} gave vectors that are not finite: reload it")
    return s


def _by_onnx(model: OnnxStreetView, photos: Sequence[Photo]) -> Floats32:
    side = model.config.sv_image_px
    return model.encode_street_view(np.stack([_square(photo, side) for photo in photos]))


def _square(photo: Photo, side: int) -> Floats32:
    """(3, side, side) what the encoder gets of a photo, by NumPy unless it is prepared."""
    pixels = pixels_of(photo)
    return photo_squares([np.asarray(photo.rgb)], side)[0] if pixels is None else pixels


def _by_torch(model: Gair, photos: Sequence[Photo], precision: Precision) -> Floats32:
    import torch

    from gair.preprocess import model_input

    encode = photo_tower(model) if precision == "bfloat16" else model.encode_street_view
    pixels = torch.stack([model_input(photo, model.config.sv_image_px) for photo in photos])
    with torch.inference_mode():
        encoded: Floats32 = encode(pixels.to(model.device)).float().cpu().numpy()
    return encoded
