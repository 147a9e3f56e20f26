"""ONNX export of the two image towers, for runtimes without torch.

``street-view.onnx`` takes ``pixels`` (B, 3, S, S) of :func:`gair.preprocess.street_view_pixels` and
gives ``s`` (B, D), unit length. ``remote-sensing.onnx`` takes ``pixels`` (B, C, H, W) of
:func:`gair.preprocess.remote_sensing_pixels`, H and W as the model was trained on, and gives
``tokens`` (B, h, w, D), not normalised. B is free; numbers are float32. ``onnx.json`` beside them
names model, licence, fingerprint and files.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gair.errors import ModelError
from gair.files import disk_errors, make_folder, sha256_of, write_whole
from gair.info import import_problem
from gair.model import Gair
from gair.onnx.street_view import ABOUT_FILE, FORMAT_VERSION, STREET_VIEW_FILE

REMOTE_SENSING_FILE = "remote-sensing.onnx"
OPSET = 18
"""Has every operator that the towers need; runtimes of 2023 and later know it."""


class _StreetView(nn.Module):
    def __init__(self, model: Gair) -> None:
        super().__init__()
        self.encoder = model.street_view

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) to unit vectors (B, D)."""
        return nn.functional.normalize(self.encoder(pixels), dim=-1)


@dataclass(frozen=True)
class _Tower:
    file: str
    module: nn.Module
    example: Tensor
    output: str


def export_onnx(model: Gair, folder: str | Path) -> list[Path]:
    """Write both towers, each file whole or not at all.

    Args:
        model: any; its licence is that of what is written.
        folder: made if it is not there.

    Returns:
        The files: both towers, then what is said of them.

    Raises:
        ModelError: onnx or onnxscript is not installed.
        StorageError: the disk refused.
    """
    _require_onnx()
    config, target = model.config, Path(folder)
    make_folder(target)
    frame = (2, len(config.rs_bands), config.rs_frame_px, config.rs_frame_px)
    towers = [
        _Tower(
            STREET_VIEW_FILE,
            _StreetView(model),
            torch.zeros(2, 3, config.sv_image_px, config.sv_image_px),
            "s",
        ),
        _Tower(REMOTE_SENSING_FILE, model.remote_sensing, torch.zeros(frame), "tokens"),
    ]
    files = []
    for tower in towers:
        path = target / tower.file
        write_whole(path, _exported(tower, target))
        files.append(path)
    about = {
        "format_version": FORMAT_VERSION,
        "model": model.info.name,
        "licence": model.info.licence,
        "trained": model.info.trained,
        "fingerprint": model.fingerprint(),
        "opset": OPSET,
        "config": config.to_dict(),
        "files": {file.name: {"sha256": sha256_of(file)} for file in files},
    }
    write_whole(target / ABOUT_FILE, json.dumps(about, indent=1).encode())
    return [*files, target / ABOUT_FILE]


def _exported(tower: _Tower, folder: Path) -> bytes:
    """A tower as one file with its weights; what torch says meanwhile is not for people."""
    module = tower.module.eval()
    with (
        disk_errors(folder),
        tempfile.TemporaryDirectory(dir=folder) as scratch,
        warnings.catch_warnings(action="ignore"),
        contextlib.redirect_stdout(io.StringIO()),
        torch.inference_mode(),
    ):
        path = Path(scratch) / tower.file
        torch.onnx.export(
            module,
            (tower.example,),
            str(path),
            input_names=["pixels"],
            output_names=[tower.output],
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return path.read_bytes()


def _require_onnx() -> None:
    for module in ("onnx", "onnxscript"):
        try:
            __import__(module)
        except ImportError as error:
            absent = f"{module} is not installed: pip install 'gair-geolocator[onnx]'"
            raise ModelError(import_problem(error, module, absent)) from error
