"""GAIR: street photos, satellite imagery and coordinates in one vector space.

Importing this package is cheap; torch is imported when a name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gair.config import PRESETS as PRESETS
    from gair.config import GairConfig as GairConfig
    from gair.coordinates.text import parse_coordinates as parse_coordinates
    from gair.errors import GairError as GairError
    from gair.geo import Footprint as Footprint
    from gair.info import ModelInfo as ModelInfo
    from gair.model import Gair as Gair
    from gair.photos.photo import Photo as Photo
    from gair.photos.photo import open_photo as open_photo

_HOME = {
    "Footprint": "gair.geo",
    "Gair": "gair.model",
    "GairConfig": "gair.config",
    "GairError": "gair.errors",
    "ModelInfo": "gair.info",
    "PRESETS": "gair.config",
    "Photo": "gair.photos.photo",
    "open_photo": "gair.photos.photo",
    "parse_coordinates": "gair.coordinates.text",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module 'gair' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
