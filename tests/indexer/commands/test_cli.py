"""The command line: quick help, plain answers, and a build that can be stopped at any moment."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from repository import REPOSITORY
from small_builds import tiny_model
from toy_city import photo

import indexer
from indexer.commands.cli import main
from indexer.commands.info import manifest_lines
from indexer.commands.search import answer_lines, sun_lines
from indexer.index.index import open_index
from indexer.search.geolocator import Geolocator
from indexer.search.weights import IMAGERY_ALONE

HEAVY = ("torch", "faiss", "rasterio", "gradio", "duckdb", "timm", "PIL", "shapely", "numpy")


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


@pytest.mark.process
def test_help_needs_nothing_heavy_and_answers_at_once() -> None:
    code = """
import contextlib, io, sys, time
began = time.perf_counter()
from indexer.commands.cli import main
for argv in ([], ["build"], ["search"], ["info"]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([*argv, "--help"])
    assert "usage: python -m indexer" in out.getvalue()
print(time.perf_counter() - began, *sorted({m.split(".")[0] for m in sys.modules}))
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    seconds, *modules = done.stdout.split()
    assert not set(HEAVY) & set(modules)
    assert float(seconds) < 2


@pytest.mark.process
def test_the_module_runs() -> None:
    done = run_python("-m", "indexer", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "build" in done.stdout
    assert "search" in done.stdout


def test_the_package_exports_what_it_promises() -> None:
    assert indexer.__all__ == sorted(indexer.__all__)
    for name in indexer.__all__:
        assert getattr(indexer, name).__name__.removeprefix("indexer.") == name
    with pytest.raises(AttributeError, match="module 'indexer' has no attribute 'nothing'"):
        _ = indexer.nothing
    names: dict[str, object] = {}
    exec("from indexer import *", names)
    assert set(indexer.__all__) <= set(names)
    assert importlib.import_module("indexer").search is indexer.search


@pytest.mark.process
def test_importing_the_package_stays_light() -> None:
    done = run_python("-c", "import indexer, sys; print(*{m.split('.')[0] for m in sys.modules})")
    assert not set(HEAVY) & set(done.stdout.split())


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["biuld"], "there is no command 'biuld'; did you mean 'build'?"),
        (["build", "--regoin", "london"], "unknown argument '--regoin'; did you mean '--region'?"),
        (["search", "--joson"], "unknown argument '--joson'; did you mean '--json'?"),
        (["add", "--imagry", "x"], "unknown argument '--imagry'; did you mean '--imagery'?"),
        (["build", "--imagery", "x", "--resolution", "ten"], "invalid int value: 'ten'"),
        (["build", "--imagery", "x", "--region", "a", "--bbox", "b"], "not allowed with argument"),
        (["build", "--imagery", "x", "--typo"], "unknown argument '--typo'"),
        (["info", "box", "crate"], "unknown argument 'crate'"),
        (["search"], "required: PHOTO"),
    ],
)
def test_wrong_usage(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert words in error
    assert error.endswith("--help")


@pytest.fixture
def jpg(tmp_path: Path) -> Path:
    photo(7).save(tmp_path / "street.jpg", quality=95)
    return tmp_path / "street.jpg"


def test_build_and_search_from_the_shell(
    city_tif: Path, jpg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    box = ["--bbox", "-0.1080,51.5030,-0.1000,51.5080"]  # two words, the second with a minus
    argv = ["build", "--imagery", str(city_tif), "--model", "untrained:tiny", *box]
    out = str(tmp_path / "indexes")
    assert main([*argv, "--name", "box", "--out", out, "--quiet"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("index box, build 20")
    assert "23 of 23 cells at H3 resolution 10, 1 frames" in told.out
    assert "peak memory:" in told.out
    assert "imagery encoder" in told.out.splitlines()[-1]
    assert told.err == ""
    assert main(["search", str(jpg), "--indexes", out, "-k", "2"]) == 0
    told = capsys.readouterr()
    answer = Geolocator.open("box", indexes_dir=out).search(jpg, k=2)
    assert told.out.splitlines() == [*answer_lines(answer), *sun_lines(answer)]
    assert told.err == ""
    assert told.out.startswith(f"{jpg}: {len(answer.candidates)} places of 23 cells in box\n")
    refined = answer.candidates[0].refined_lonlat_deg
    assert refined is not None
    assert f"{refined[1]:.{answer.decimals}f}" in told.out.splitlines()[2]
    assert "note: the model untrained-tiny is untrained" in told.out
    assert "uncalibrated" in told.out
    assert "licence Apache-2.0 (random weights)" in told.out


def test_json_is_what_python_gets(
    boxes: Path, jpg: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["search", str(jpg), "--index", "box", "--indexes", str(boxes), "--json"]
    assert main([*argv, "-k", "3", "--rs-weight", "0.9", "--location-weight", "0.1"]) == 0
    (printed,) = json.loads(capsys.readouterr().out)
    geolocator = Geolocator.open("box", indexes_dir=boxes, model=tiny_model())
    answer = geolocator.search(jpg, k=3, rs_weight=0.9, location_weight=0.1)
    assert printed == json.loads(json.dumps(answer.to_dict()))


def test_one_broken_photo_does_not_cost_the_others(
    boxes: Path, jpg: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(jpg.read_bytes()[:2000])
    paths = [str(jpg)] * 16 + [str(broken), str(jpg), str(tmp_path / "gone.jpg")]
    argv = ["search", *paths, "--index", "box", "--indexes", str(boxes)]
    assert main([*argv, "--json"]) == 1
    told = capsys.readouterr()
    printed = json.loads(told.out)
    assert [entry["photo"] for entry in printed] == paths
    assert [i for i, entry in enumerate(printed) if "error" in entry] == [16, 18]
    assert "truncated" in printed[16]["error"]
    assert printed[17] == printed[0] | {"candidates": printed[17]["candidates"]}
    assert printed[17]["candidates"][0]["row"] == printed[0]["candidates"][0]["row"]
    errors = told.err.splitlines()
    assert [line.startswith("error: ") for line in errors] == [True, True, False]
    assert "broken.jpg" in errors[0]
    assert errors[2] == "2 of 19 photos could not be read"
    assert main([*argv[:2], str(broken), *argv[-4:]]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(f"{jpg}: ")
    assert len(told.err.splitlines()) == 2


def test_names_of_any_bytes_are_printed(
    boxes: Path, jpg: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = jpg.with_name(os.fsdecode(b"caf\xe9\nbar.jpg"))
    try:
        shutil.copy(jpg, odd)
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    argv = ["--index", "box", "--indexes", str(boxes)]
    assert main(["search", str(odd), *argv]) == 0
    assert "/caf\\udce9" in capfd.readouterr().out
    assert main(["search", str(odd) + "x", *argv]) == 1
    error = capfd.readouterr().err
    assert error.startswith("error: cannot read ")
    assert error.count("\n") == 1


def test_info(boxes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--indexes", str(boxes)]
    assert main(["info", *where]) == 0
    manifest = open_index(boxes / "box").manifest
    told = capsys.readouterr().out
    assert told.splitlines() == manifest_lines(manifest, IMAGERY_ALONE)
    assert "23 of 23 at H3 10" in told
    assert "UNTRAINED" in told
    assert "weights  imagery 1, location 0 (by default): there is no calibration" in told
    assert "dates unknown" in told
    for named in (["--index", "box"], ["box"]):
        assert main(["info", *named, "--json", *where]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(manifest.to_json())
    shutil.copytree(boxes, tmp_path / "two")
    shutil.copytree(boxes / "box", tmp_path / "two" / "crate")
    for flags, wanted in (([], "box\ncrate\n"), (["--json"], '["box", "crate"]\n')):
        assert main(["info", "--indexes", str(tmp_path / "two"), *flags]) == 0
        assert capsys.readouterr().out == wanted
    assert main(["info", "--indexes", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out == f"no index in {str(tmp_path / 'none')!r}\n"


def test_info_names_the_dates_of_the_imagery(boxes: Path) -> None:
    manifest = open_index(boxes / "box").manifest
    scenes = [{"dates": [f"2024-0{month}-01T10:00:00Z"]} for month in (7, 6, 6)]
    manifest.imagery["scenes"] = [*scenes, {"dates": []}]
    assert "4 scenes, 2024-06-01, 2024-07-01;" in "\n".join(manifest_lines(manifest, IMAGERY_ALONE))


def info_into(stdout: Any, boxes: Path, unbuffered: str) -> tuple[int, str]:
    """Status and error output of ``info`` with another standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "indexer", "info", "--json", "--indexes", str(boxes)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.process
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_error(boxes: Path, unbuffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        assert info_into(pipe, boxes, unbuffered) == (1, "")


@pytest.mark.process
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_one_line(boxes: Path, unbuffered: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("wb") as full:
        status, error = info_into(full, boxes, unbuffered)
    assert (status, error) == (1, "error: [Errno 28] No space left on device\n")
