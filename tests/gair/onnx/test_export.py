"""Towers as ONNX: the same numbers as torch's, for any number of photos."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gair.cli import main
from gair.errors import ModelError
from gair.files import sha256_of
from gair.model import Gair
from gair.onnx.export import REMOTE_SENSING_FILE, export_onnx
from gair.onnx.street_view import ABOUT_FILE, STREET_VIEW_FILE

NO_EXTRA = "needs the extra onnx: pip install 'gair-geolocator[onnx]'"


@pytest.fixture(scope="module", params=["untrained:tiny", "shipped:demo"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Gair, Path]:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module, reason=NO_EXTRA)
    model = Gair.from_pretrained(request.param)
    folder = tmp_path_factory.mktemp("onnx")
    export_onnx(model, folder)
    return model, folder


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_both_towers_give_the_numbers_of_torch(exported: tuple[Gair, Path], count: int) -> None:
    import onnxruntime

    model, folder = exported
    config = model.config
    photos = torch.randn(count, 3, config.sv_image_px, config.sv_image_px)
    frames = torch.randn(count, len(config.rs_bands), config.rs_frame_px, config.rs_frame_px)
    with torch.inference_mode():
        wanted = {
            STREET_VIEW_FILE: (photos, model.encode_street_view(photos)),
            REMOTE_SENSING_FILE: (frames, model.encode_remote_sensing(frames)),
        }
    for name, (pixels, right) in wanted.items():
        session = onnxruntime.InferenceSession(str(folder / name))
        (given,) = session.run(None, {"pixels": pixels.numpy()})
        assert given.shape == right.shape
        np.testing.assert_allclose(given, right.numpy(), atol=2e-4, rtol=1e-3)
        assert np.abs(right.numpy()).max() > 0.01


@pytest.mark.slow
def test_what_is_beside_them_names_licence_and_weights(exported: tuple[Gair, Path]) -> None:
    model, folder = exported
    about = json.loads((folder / ABOUT_FILE).read_bytes())
    assert about["licence"] == model.info.licence
    assert about["fingerprint"] == model.fingerprint()
    for name, record in about["files"].items():
        assert record["sha256"] == sha256_of(folder / name)
    assert sorted(file.name for file in folder.iterdir()) == sorted([*about["files"], ABOUT_FILE])


def test_without_the_extra_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModelError, match=r"pip install 'gair-geolocator\[onnx\]'"):
        export_onnx(Gair.untrained("tiny"), tmp_path / "out")
    assert main(["export-onnx", "untrained:tiny", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
