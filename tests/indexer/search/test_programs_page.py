"""The page "Use it from your program": its snippets run, in their order, on a tiny index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hand_calibration import calibrate_by_hand
from repository import REPOSITORY
from toy_city import photo

PAGE = REPOSITORY / "docs" / "programs.md"
SPAWNED = "# spawn.py\n"


@pytest.fixture(scope="module")
def place(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the page has it."""
    folder = tmp_path_factory.mktemp("programs")
    shutil.copytree(tiny_index / "toy", folder / "indexes" / "demo")
    calibrate_by_hand(folder / "indexes" / "demo")
    photo(1).save(folder / "photo.jpg")
    return folder


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_the_snippets_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    # What is pickled by name must be found under it.
    module = type(sys)("programs_page")
    monkeypatch.setitem(sys.modules, "programs_page", module)
    names: dict[str, Any] = vars(module)
    here = [snippet for snippet in snippets() if not snippet.startswith(SPAWNED)]
    assert len(here) >= 9
    for snippet in here:
        exec(compile(snippet, str(PAGE), "exec"), names)
    row = names["geolocator"].search("photo.jpg", k=1, refine=False).candidates[0].row
    assert names["rows"] == [row] * 4
    assert [type(result).__name__ for result in names["results"]] == [
        "Answer",
        "PhotoError",
        "Answer",
    ]
    assert [kept.posterior for kept in names["kept"]] == [None, None]
    assert names["rows_by_process"] == [row] * 4
    for answers in ("answers", "from_loop", "loaded"):
        assert {answer.candidates[0].row for answer in names[answers]} == {row}
    assert names["table"][0][0] == 1

    from fastapi.testclient import TestClient

    client = TestClient(names["app"])
    with Path("photo.jpg").open("rb") as file:
        told = client.post("/where", files={"photo": file})
    assert told.status_code == 200
    assert told.json()["candidates"][0]["row"] == row
    refused = client.post("/where", files={"photo": b"no photo at all"})
    assert refused.status_code == 422


@pytest.mark.process
def test_the_spawned_snippet_runs(place: Path) -> None:
    (script,) = (snippet for snippet in snippets() if snippet.startswith(SPAWNED))
    (place / "spawn.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "spawn.py"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = done.stdout.split()
    assert first == second
