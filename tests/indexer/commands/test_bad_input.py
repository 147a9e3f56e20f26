"""Whatever is wrong with the input, the shell gets one clear line and a status that is not 0."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photo_samples import png
from refusals import Capture, built, refusal
from repository import REPOSITORY
from tiny_rasters import flat_bands, write_raster
from toy_city import photo
from warm_processes import warm_run

from indexer.commands.cli import main


def searched(path: Path, boxes: Path, *flags: str) -> list[str]:
    return ["search", str(path), "--index", "box", "--indexes", str(boxes), *flags]


def truncated_jpeg(path: Path) -> None:
    photo(size=(640, 480)).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def huge_png(path: Path) -> None:
    path.write_bytes(png(13_000, 13_000, 1, 0, bytes(13_000 * (1 + 13_000 // 8))))
    assert path.stat().st_size < 25_000


PHOTOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated JPEG": (truncated_jpeg, "is truncated or damaged"),
    "169 megapixels": (huge_png, "13000 x 13000 = 169,000,000 pixels.*; shrink it"),
    "text": (lambda p: p.write_text("dear diary " * 100), "is not a photo in a known format"),
    "empty": (lambda p: p.write_bytes(b""), r"is empty \(0 bytes\)"),
    "missing": (lambda p: None, "No such file or directory; name a photo"),
}


@pytest.mark.parametrize("kind", PHOTOS)
def test_a_photo_that_cannot_be_searched(
    boxes: Path, tmp_path: Path, capsys: Capture, kind: str
) -> None:
    make, words = PHOTOS[kind]
    path = tmp_path / "street.jpg"
    make(path)
    message = refusal(searched(path, boxes), capsys)
    assert "street.jpg" in message
    assert re.search(words, message), message
    assert main([*searched(path, boxes), "--json"]) == 1
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry == {"photo": str(path), "error": message}


QUERIES = [
    (["-k", "0"], 2, "k is 0: ask for one place or more"),
    (["-k", "-5"], 2, "k is -5"),
    (["--rs-weight", "-1"], 2, "weights -1 (rs) and 0 (location): both must be 0 to 1e+06"),
    (["--location-weight=-0.5"], 2, "weights 1 (rs) and -0.5 (location)"),
    (["--rs-weight", "0", "--location-weight", "0"], 2, "one of them above 0"),
    (["--rs-weight", "nan"], 2, "weights nan"),
    (["--rs-weight", "1e39"], 2, "weights 1e+39"),
    (["--index", "london"], 1, "no index 'london'; in "),
    (["--indexes", "nowhere"], 1, "no index 'box'; in 'nowhere' there is none: build it"),
    (["--model", "untrained:tiny:1"], 1, "cannot be searched with untrained-tiny ("),
    (["--model", "untrained:huge"], 1, "unknown model preset 'huge'; there are: base, tiny"),
    (["--model", "/no/such/model"], 1, "no model at '/no/such/model': give a folder"),
]


@pytest.mark.parametrize(("flags", "status", "words"), QUERIES, ids=lambda v: str(v)[:40])
def test_a_query_that_cannot_work(
    boxes: Path, tmp_path: Path, capsys: Capture, flags: list[str], status: int, words: str
) -> None:
    photo().save(tmp_path / "street.png")
    message = refusal(searched(tmp_path / "street.png", boxes, *flags), capsys, status)
    assert words in message


def test_one_index_of_several_has_to_be_named(boxes: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(boxes, tmp_path / "two")
    shutil.copytree(boxes / "box", tmp_path / "two" / "crate")
    argv = ["search", "a.jpg", "--indexes", str(tmp_path / "two")]
    assert "which index? In " in refusal(argv, capsys)


BUILDS = [
    (["--bbox=0.1,51.4,-0.1,51.6"], 1, "west 0.1 is not less than east -0.1"),
    (["--bbox=-0.1,51.6,0.1,51.4"], 1, "south 51.6 is not less than north 51.4"),
    (["--bbox", "-0.1,51.4,0.1"], 2, "--bbox '-0.1,51.4,0.1' has 3 values, not 4"),
    (["--bbox=10,50,10.01,50.01"], 1, "no cell of bbox (bbox 10.0000,50.0000,10.0100,50.0100) has"),
    (["--region", "atlantis"], 1, "unknown region 'atlantis'; there is: bangkok, berlin, "),
    (["--region", "nowhere"], 1, "a GeoJSON file (--polygon), a bounding box W,S,E,N (--bbox), or"),
    (["--bbox=10,50,10.02,50.02"], 1, "check --imagery and --region"),
    (["--polygon", "README.md"], 1, "README.md"),
    (["--polygon", "/no/such.geojson"], 1, "cannot read /no/such.geojson: No such file"),
    (["--resolution", "16"], 2, "H3 has no resolution 16; choose --resolution 0 (coarsest) to 15"),
    (["--resolution", "5"], 1, "no centre of an H3 cell of resolution 5 lies in this region"),
    (["--bands", "B2,B99"], 2, "unknown band 'B99' in --bands 'B2,B99': give one of"),
    (["--bands", "l2a-12"], 1, "has 10 bands, but the stated order has 12"),
    (["--dn-scale", "0"], 2, "scale"),
    (["--dn-offset", "nan"], 2, "offset"),
    (["--name", "../up"], 2, "index name '../up' must be 1 to 64 letters"),
    (["--name", ""], 2, "index name '' must be 1 to 64 letters"),
    (["--bbox="], 2, "--bbox '' has 1 values, not 4"),
    (["--region", ""], 1, "unknown region ''"),
    (["--polygon", ""], 1, "cannot read : No such file"),
    (["--bands="], 2, "unknown band '' in --bands ''"),
    (["--model", "untrained:huge"], 1, "unknown model preset 'huge'; there are: base, tiny"),
    (["--model", "untrained:tiny:x"], 1, "'untrained:tiny:x' is not untrained:PRESET[:SEED]"),
    (["--model", "/no/such/model"], 1, "no model at '/no/such/model': give a folder"),
    (["--model", "tests"], 1, "tests holds no model: expected config.json with model.safetensors"),
    (["--model", "pyproject.toml"], 1, "cannot read pyproject.toml as a torch checkpoint"),
    (["--device", "abacus"], 2, "cannot compute on --device 'abacus' here: leave it out"),
    (["--device", "meta"], 2, "cannot compute on --device 'meta' here"),
]


@pytest.mark.parametrize(("flags", "status", "words"), BUILDS, ids=lambda v: str(v)[:40])
def test_a_build_that_cannot_work(
    city_tif: Path,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    status: int,
    words: str,
) -> None:
    monkeypatch.chdir(REPOSITORY)
    message = refusal(built(city_tif, tmp_path, *flags), capsys, status)
    assert words in message
    assert not list(tmp_path.glob("indexes/*/CURRENT"))


def test_a_missing_accelerator(city_tif: Path, tmp_path: Path, capsys: Capture) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    message = refusal(built(city_tif, tmp_path, "--device", "cuda"), capsys, 2)
    assert "cannot compute on --device 'cuda' here" in message


def test_an_output_folder_that_is_a_file(city_tif: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "indexes").write_text("in the way")
    message = refusal(built(city_tif, tmp_path), capsys)
    assert message.endswith("indexes/bbox: Not a directory")


NAMES = ("B2", "B3", "B4", "B8")
IMAGERY: dict[str, tuple[Callable[[Path], object], str]] = {
    "four bands": (
        lambda p: write_raster(p, flat_bands()[:4], names=NAMES),
        "lacks B5, B6, B7, B8A, B11, B12 (it has B2, B3, B4, B8): use imagery with all of",
    ),
    "three bands": (
        lambda p: write_raster(
            p, flat_bands()[:3].astype(np.uint8), names=("red", "green", "blue")
        ),
        "lacks B5, B6, B7, B8, B8A, B11, B12",
    ),
    "unnamed bands": (
        lambda p: write_raster(p, flat_bands()),
        "does not name its 10 bands, and B2, B3, B4, B5, B6, B7, B8, B8A, B11, B12 are needed",
    ),
    "text": (lambda p: p.write_text("no raster"), "is broken, truncated or no GeoTIFF"),
    "missing": (lambda p: None, "check the path"),
    "empty folder": (lambda p: p.mkdir(), "it holds no files; give the folder with the Sentinel-2"),
}


@pytest.mark.parametrize("kind", IMAGERY)
def test_imagery_that_cannot_be_used(tmp_path: Path, capsys: Capture, kind: str) -> None:
    make, words = IMAGERY[kind]
    path = tmp_path / "imagery.tif"
    make(path)
    message = refusal(built(path, tmp_path), capsys)
    assert str(path) in message
    assert words in message


def test_imagery_that_lies_nowhere(tmp_path: Path, capsys: Capture) -> None:
    from rasterio.errors import NotGeoreferencedWarning

    with pytest.warns(NotGeoreferencedWarning):
        write_raster(
            tmp_path / "lost.tif", flat_bands(), names=[f"B{n}" for n in (2, 3, 4, 5)], crs=None
        )
    message = refusal(built(tmp_path / "lost.tif", tmp_path, "--bands", "gair-10"), capsys)
    assert "lost.tif has no coordinate reference system" in message


def test_a_raster_cut_off_behind_its_header(
    city_tif: Path, tmp_path: Path, capsys: Capture
) -> None:
    cut = tmp_path / "cut.tif"
    cut.write_bytes(city_tif.read_bytes()[: city_tif.stat().st_size // 2])
    message = refusal(built(cut, tmp_path, "--bbox=-0.130,51.488,-0.075,51.523"), capsys)
    assert "cut.tif" in message
    assert not list(tmp_path.glob("indexes/*/.building-*"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not JSON", "JSON"),
        ('{"type": "Point", "coordinates": [0, 51]}', "polygon"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,1],[1,0],[0,1],[0,0]]]}', "valid"),
        ("\xff\xfe", "UTF-8"),
    ],
)
def test_a_polygon_that_is_none(
    city_tif: Path, tmp_path: Path, capsys: Capture, text: str, words: str
) -> None:
    path = tmp_path / "area.geojson"
    path.write_bytes(text.encode("latin-1"))
    message = refusal(built(city_tif, tmp_path, "--polygon", str(path)), capsys)
    assert "area" in message
    assert words.lower() in message.lower()


def failure_in_a_process(argv: list[str], environment: dict[str, str]) -> str:
    """The one line that a command ends with, in a process with this environment."""
    done = warm_run(
        [sys.executable, "-m", "indexer", *argv],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    [error] = done.stderr.splitlines()
    return error


@pytest.mark.process
def test_a_model_of_the_hub_without_a_network(city_tif: Path, tmp_path: Path) -> None:
    argv = built(city_tif, tmp_path, "--model", "nobody/no-such-model")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    error = failure_in_a_process(argv, environment)
    assert error.startswith("error: cannot get 'nobody/no-such-model' from the Hugging Face hub")
    assert "check the name and the network" in error


@pytest.mark.process
def test_the_released_weights_are_the_default_and_where_to_get_them_is_said(
    city_tif: Path, tmp_path: Path
) -> None:
    argv = built(city_tif, tmp_path)
    at = argv.index("--model")
    del argv[at : at + 2]
    closed = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "hub")}
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"} | closed
    error = failure_in_a_process(argv, environment)
    assert error.startswith("error: cannot get 'PingL/GAIR' from the Hugging Face hub")
    assert "download its checkpoint.pth from https://huggingface.co/PingL/GAIR elsewhere" in error
