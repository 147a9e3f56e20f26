"""Photo tower as ONNX: opened where it fits the index, refused where it does not."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import pytest

from gair.errors import ModelError
from gair.files import sha256_of
from gair.model import Gair
from gair.onnx.export import export_onnx
from gair.onnx.street_view import (
    ABOUT_FILE,
    FORMAT_VERSION,
    STREET_VIEW_FILE,
    onnx_folder,
    open_onnx,
)

NO_EXTRA = "needs the extra onnx: pip install 'gair-geolocator[onnx]'"
FINGERPRINT = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export, of which only the tower is none."""
    (tmp_path / STREET_VIEW_FILE).write_bytes(b"no network")
    about = {
        "format_version": FORMAT_VERSION,
        "fingerprint": FINGERPRINT,
        "files": {STREET_VIEW_FILE: {"sha256": sha256_of(tmp_path / STREET_VIEW_FILE)}},
    }
    (tmp_path / ABOUT_FILE).write_text(json.dumps(about))
    return tmp_path


def change(folder: Path, **values: object) -> None:
    about = json.loads((folder / ABOUT_FILE).read_text())
    (folder / ABOUT_FILE).write_text(json.dumps({**about, **values}))


def test_a_tower_of_other_weights_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"of model abababababab, and cdcdcdcdcdcd is wanted"):
        open_onnx(folder, "cd" * 32)


def test_what_was_not_exported_is_refused_with_the_command(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"export-onnx shipped:demo"):
        open_onnx(tmp_path / "nowhere", FINGERPRINT, "shipped:demo")
    change(folder, format_version=FORMAT_VERSION + 1)
    with pytest.raises(ModelError, match="has version 2; this program reads 1: export again"):
        open_onnx(folder, FINGERPRINT)
    (folder / ABOUT_FILE).write_text("{")
    with pytest.raises(ModelError, match="cannot be read: export again"):
        open_onnx(folder, FINGERPRINT)


def test_a_changed_file_is_refused(folder: Path) -> None:
    (folder / STREET_VIEW_FILE).write_bytes(b"another")
    with pytest.raises(ModelError, match="differs from what was exported"):
        open_onnx(folder, FINGERPRINT)
    (folder / STREET_VIEW_FILE).unlink()
    with pytest.raises(ModelError, match="cannot read"):
        open_onnx(folder, FINGERPRINT)


def test_without_the_extra_it_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match=r"pip install 'gair-geolocator\[onnx\]'"):
        open_onnx(folder, FINGERPRINT)


def test_the_folder_is_the_environments_or_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GAIR_ONNX", str(tmp_path))
    assert onnx_folder(FINGERPRINT) == tmp_path / FINGERPRINT[:16]
    monkeypatch.delenv("GAIR_ONNX")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert onnx_folder(FINGERPRINT) == tmp_path / "gair" / "onnx" / FINGERPRINT[:16]


@pytest.mark.slow
def test_a_tower_that_is_sent_elsewhere_opens_there(tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module, reason=NO_EXTRA)
    model = Gair.untrained("tiny")
    export_onnx(model, tmp_path)
    tower = open_onnx(tmp_path, model.fingerprint())
    again = pickle.loads(pickle.dumps(tower))
    assert (again.fingerprint(), again.config) == (model.fingerprint(), model.config)
