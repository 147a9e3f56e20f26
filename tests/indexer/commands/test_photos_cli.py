"""Photos as command lines name and cut them: folders, globs, standard input, views, bars."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from photo_samples import encode, noise
from PIL import Image
from refusals import refusal
from toy_city import photo

from gair.photos.photo import open_photo
from indexer.commands.cli import main
from indexer.search.geolocator import Geolocator

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        photo(number).save(folder / f"{number}.png")
    return folder


def answers(boxes: Path, capsys: Capture, *words: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["search", *words, "--indexes", str(boxes), "--index", "box", "--json"]) == 0
    told: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return told


def test_a_folder_and_a_glob_are_their_photos(
    boxes: Path, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    in_folder = answers(boxes, capsys, "photos")
    assert [answer["photo"] for answer in in_folder] == [f"photos/{n}.png" for n in range(3)]
    for answer in in_folder:
        assert answer["photo_sha256"] == [
            hashlib.sha256(Path(answer["photo"]).read_bytes()).hexdigest()
        ]
    assert answers(boxes, capsys, "photos/[01].png") == in_folder[:2]
    (together,) = answers(boxes, capsys, "photos", "--same-place")
    assert together["photos"] == [answer["photo"] for answer in in_folder]
    where = ["--at=51.5055,-0.104", "--indexes", str(boxes)]
    told = refusal(["verify", "photos", *where], capsys, status=2)
    assert told == "photos names 3 photos: a claim is about one"


def test_standard_input_is_a_photo(
    boxes: Path, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (folder / "1.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    (piped,) = answers(boxes, capsys, "-")
    assert piped["photo"] == "-"
    assert piped["photo_sha256"] == [hashlib.sha256(content).hexdigest()]
    assert piped["candidates"] == answers(boxes, capsys, str(folder / "1.png"))[0]["candidates"]


def test_a_view_of_a_panorama_and_a_picture_without_bars(
    boxes: Path, tmp_path: Path, capsys: Capture
) -> None:
    panorama, framed = tmp_path / "pano.png", tmp_path / "framed.png"
    panorama.write_bytes(encode(Image.fromarray(noise(200, 400)), "PNG"))
    bars = Image.new("RGB", (160, 160))
    bars.paste(Image.fromarray(noise(120, 160) // 2 + 60), (0, 20))
    framed.write_bytes(encode(bars, "PNG"))
    geolocator = Geolocator.open("box", indexes_dir=boxes)
    for path, code, flags, reading in (
        (panorama, "photo_panorama", ["--heading", "-90"], {"heading_deg": -90.0}),
        (framed, "photo_bars", ["--cut-bars"], {"cut_bars": True}),
    ):
        (whole,) = answers(boxes, capsys, str(path))
        assert code in [warning["code"] for warning in whole["warnings"]]
        (cut,) = answers(boxes, capsys, str(path), *flags)
        assert code not in [warning["code"] for warning in cut["warnings"]]
        expected = geolocator.search(open_photo(path, **reading))  # type: ignore[arg-type]
        assert cut["candidates"][0]["score"] == pytest.approx(expected.candidates[0].score)
        assert cut["candidates"][0]["score"] != whole["candidates"][0]["score"]
    argv = ["search", str(framed), "--heading", "0", "--indexes", str(boxes), "--index", "box"]
    assert "160 x 160 pixels: a heading is for 360-degree panoramas" in refusal(argv, capsys)
