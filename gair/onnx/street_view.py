"""Street-view tower as ONNX: encodes photos without torch.

``python -m gair export-onnx MODEL`` writes it once (:mod:`gair.onnx.export`), into a folder of the
model's fingerprint under :func:`onnx_home`. A tower of other weights than an index was built with
is refused, and so is a file that is not what the export wrote.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.arrays import Floats32
from gair.config import GairConfig
from gair.errors import ModelError
from gair.files import read_file, sha256_of
from gair.info import ModelInfo, import_problem
from gair.inputs.documents import json_of

if TYPE_CHECKING:
    import onnxruntime

STREET_VIEW_FILE = "street-view.onnx"
ABOUT_FILE = "onnx.json"
FORMAT_VERSION = 1
HOME = "GAIR_ONNX"
"""The variable that names the folder of exported towers."""


def onnx_home() -> Path:
    """The folder of exported towers: $GAIR_ONNX, or ``gair/onnx`` in the user's cache."""
    if named := os.environ.get(HOME):
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "gair" / "onnx"


def onnx_folder(fingerprint: str) -> Path:
    """Where the towers of a model are kept, by its fingerprint."""
    return onnx_home() / fingerprint[:16]


class OnnxStreetView:
    """The photo tower of a model, and what an index asks of a model besides.

    :func:`open_onnx` opens one; it can be shared between threads.
    """

    def __init__(
        self, folder: Path, about: dict[str, Any], session: onnxruntime.InferenceSession
    ) -> None:
        self.config = GairConfig.from_dict(about["config"])
        self.info = ModelInfo(
            name=str(about["model"]),
            licence=str(about["licence"]),
            trained=bool(about["trained"]),
            source=str(folder),
        )
        self._folder, self._fingerprint = folder, str(about["fingerprint"])
        self._session = session

    def fingerprint(self) -> str:
        """Of the weights that were exported: :meth:`gair.model.Gair.fingerprint`."""
        return self._fingerprint

    def encode_street_view(self, pixels: Floats32) -> Floats32:
        """(B, 3, S, S) of :func:`gair.photos.squares.photo_squares` to s, (B, D), unit length."""
        (s,) = self._session.run(None, {"pixels": pixels})
        encoded: Floats32 = s
        return encoded

    def __reduce__(self) -> tuple[Callable[..., OnnxStreetView], tuple[Path, str]]:
        return open_onnx, (self._folder, self._fingerprint)


def open_onnx(folder: Path, fingerprint: str, source: str = "MODEL") -> OnnxStreetView:
    """Open the photo tower of a model.

    Args:
        folder: that the export wrote.
        fingerprint: of the model that is wanted.
        source: where that model is from, for the remedy.

    Raises:
        ModelError: onnxruntime is not installed, nothing was exported there, it is of other
            weights, or a file is damaged.
    """
    command = f"python -m gair export-onnx {source}"
    try:
        about = json_of(read_file(folder / ABOUT_FILE))
        version, exported = about["format_version"], about["fingerprint"]
        wanted = about["files"][STREET_VIEW_FILE]["sha256"]
    except FileNotFoundError:
        raise ModelError(f"no ONNX towers in {str(folder)!r}: write them with {command}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{folder / ABOUT_FILE} cannot be read: export again: {command}"
        ) from error
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{folder / ABOUT_FILE} has version {version!r}; this program reads {FORMAT_VERSION}: "
            f"export again: {command}"
        )
    if exported != fingerprint:
        raise ModelError(
            f"the ONNX towers in {str(folder)!r} are of model {str(exported)[:12]}, and "
            f"{fingerprint[:12]} is wanted: export again: {command}"
        )
    path = folder / STREET_VIEW_FILE
    try:
        intact = sha256_of(path) == wanted
    except OSError as error:
        raise ModelError(f"cannot read {path}: export again: {command}") from error
    if not intact:
        raise ModelError(f"{path} differs from what was exported: export again: {command}")
    try:
        import onnxruntime
    except ImportError as error:
        absent = "onnxruntime is not installed: pip install 'gair-geolocator[onnx]'"
        raise ModelError(import_problem(error, "onnxruntime", absent)) from error
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return OnnxStreetView(folder, about, session)
