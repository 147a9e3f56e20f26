"""Words of a command line that name photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from gair.errors import PhotoError
from indexer.photos.named import named_photos


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jpg", "a.JPG", "in/c.heic", "in/deep/d.png", "in/.hidden.jpg", "in/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "odd[1].jpg").touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["b.jpg", "-", "gone.jpg"], ["b.jpg", "-", "gone.jpg"]),
        (["in"], ["in/c.heic", "in/deep/d.png"]),
        (["./in/"], ["./in/c.heic", "./in/deep/d.png"]),
        (["in", "b.jpg"], ["in/c.heic", "in/deep/d.png", "b.jpg"]),
        (["*.jpg"], ["b.jpg", "odd[1].jpg"]),
        (["in/**/*.png"], ["in/deep/d.png"]),
        (["odd[1].jpg"], ["odd[1].jpg"]),  # a file, not a glob
        (["file:///x/y.jpg", "https://example.org/a.jpg"],) * 2,
    ],
)
def test_names_are_those_that_were_typed(words: list[str], names: list[str]) -> None:
    assert named_photos(words) == names


@pytest.mark.usefixtures("here")
def test_what_names_nothing_is_said() -> None:
    with pytest.raises(PhotoError, match=r"no photo in the folder empty: .*\.heic.*\.jpg"):
        named_photos(["empty"])
    with pytest.raises(PhotoError, match=r"no file matches in/\*\.gif: look at its folder"):
        named_photos(["in/*.gif"])
