"""A pipe, a device, a socket or a dead link in place of a file: one line, and no waiting."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from refusals import Capture, refusal
from small_builds import BOX_WSEN_DEG
from special_files import SPECIAL, make_special
from toy_city import photo

from gair.errors import PhotoError
from gair.photos.photo import open_photo
from indexer.photos.listing import read_photos

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="pipes, devices and sockets by path"),
    pytest.mark.timeout(60),
]

Make = Callable[[Path], Path]


def a_build(folder: Path, *flags: str) -> list[str]:
    return ["build", "--model", "untrained:tiny", "--out", str(folder / "out"), "--quiet", *flags]


def box() -> str:
    return "--bbox=" + ",".join(map(str, BOX_WSEN_DEG))


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize(
    "role",
    ["imagery", "imagery in a folder", "polygon", "model", "photo", "csv", "parquet", "prior"],
)
def test_what_is_no_file_is_refused_by_name(
    city_tif: Path, boxes: Path, tmp_path: Path, capsys: Capture, role: str, kind: str
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    index = ["--index", "box", "--indexes", str(boxes)]
    suffix = {"imagery": "tif", "imagery in a folder": "tif", "polygon": "geojson", "photo": "jpg"}
    odd = make_special(kind, here / f"odd.{suffix.get(role, role)}")
    good = tmp_path / "good.jpg"
    photo().save(good)
    argv = {
        "imagery": a_build(tmp_path, "--imagery", str(odd), box()),
        "imagery in a folder": a_build(tmp_path, "--imagery", str(here), box()),
        "polygon": a_build(tmp_path, "--imagery", str(city_tif), "--polygon", str(odd)),
        "model": a_build(tmp_path, "--imagery", str(city_tif), box(), "--model", str(odd)),
        "photo": ["search", str(odd), *index],
        "csv": ["evaluate", "--photos", str(odd), *index, "--out", str(tmp_path / "e")],
        "parquet": ["calibrate", "--photos", str(odd), *index],
        "prior": ["search", str(good), *index, "--within", str(odd)],
    }[role]
    assert "odd." in refusal(argv, capsys)


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_folder_of_photos_leaves_out_what_is_none_and_says_why(tmp_path: Path, kind: str) -> None:
    photo().save(tmp_path / "a.jpg")
    make_special(kind, tmp_path / "b.jpg")
    shutil.copy(tmp_path / "a.jpg", tmp_path / "c.jpg")
    good, odd, last = read_photos(tmp_path)
    assert not good.left_out
    assert not last.left_out
    assert odd.name == "b.jpg"
    assert odd.left_out.startswith("photo cannot be opened: ")


def test_photos_of_a_manifest_are_refused_one_by_one(tmp_path: Path) -> None:
    for kind in SPECIAL:
        make_special(kind, tmp_path / f"{kind}.jpg")
    rows = ["file,lat,lon", *(f"{kind}.jpg,51.505,-0.104" for kind in SPECIAL)]
    (tmp_path / "photos.csv").write_text("\n".join(rows))
    for listed, kind in zip(read_photos(tmp_path / "photos.csv"), SPECIAL, strict=True):
        with pytest.raises(PhotoError, match=rf"cannot read .*{kind}\.jpg: "):
            open_photo(listed.path)
