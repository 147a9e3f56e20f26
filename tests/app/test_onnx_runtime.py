"""The server without torch: search, claims, heat maps and the page by the exported photo tower."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_pages import free_port
from toy_city import photo

from app.cli import build_parser, main, ready_text
from app.engine.engine import Engine
from app.views.index_facts import explore_html, facts_line_html
from indexer.search.geolocator import Geolocator

NO_EXTRA = "needs the extra onnx: pip install 'gair-geolocator[onnx]'"
PARITY = 1e-2
"""Largest difference of a cosine: bicubic resizing and products are rounded differently."""

SERVE = """
import json, sys, threading
from pathlib import Path
import httpx
from app.engine.engine import Engine
from app.engine.indexes import Indexes
from app.options import ServerOptions
from app.page.handlers import Desk
from app.server import serving
indexes, port, file = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
def engine_of(uploads):
    return Engine(Indexes(indexes, None, "onnx"), None, uploads)
def sent():
    return {"photo": ("street.jpg", file.read_bytes(), "image/jpeg")}
with serving(engine_of, ServerOptions(port=port, mcp=True), "known") as (url, engine):
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        said = {"health": http.get("health").json()}
        for index in ("known", "ground"):
            asked = {"index": index, "k": "3"}
            said[index] = http.post("search", files=sent(), data=asked).json()
        decided = {"index": "known", "max_error_rate": "0.1"}
        said["decided"] = http.post("search", files=sent(), data=decided).json()
        claim = {"index": "known", "lat_deg": "51.5", "lon_deg": "-0.11"}
        said["verdict"] = http.post("verify", files=sent(), data=claim).json()
        said["page"] = http.get("").status_code
    desk = Desk(engine, engine.uploads, ())
    def ask(do, **values):
        path = engine.uploads.folder / f"{do}.jpg"
        path.write_bytes(file.read_bytes())
        return desk.ask({"do": do, "index": "known", "photos": [str(path)], **values})
    said["heat"] = ask("heat", layer="imagery")
    said["posterior"] = ask("heat", layer="fused")
    said["locate"] = ask("locate", k=3)
    said["told"] = desk.ask({"do": "index", "index": "known"})
    said["heatmap"] = engine.heatmap("known", [file.read_bytes()], "imagery").values.tolist()
    pair = engine.compare("known", file.read_bytes(), file.read_bytes())
    said["pair"] = pair.to_dict()
    said["torch"] = "torch" in sys.modules
print(json.dumps(said))
"""


def test_without_a_tower_the_server_names_the_command(
    tiny_index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GAIR_ONNX", str(tmp_path))
    words = ["--index", "toy", "--indexes", str(tiny_index), "--port", str(free_port())]
    assert main([*words, "--runtime", "onnx"]) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(r"error: no ONNX towers in .*gair export-onnx untrained:tiny\n", error)


def test_the_runtime_is_an_option_of_the_server() -> None:
    assert build_parser().parse_args(["--runtime", "onnx"]).runtime == "onnx"
    assert "centres of cells" in build_parser().format_help()


def test_torch_is_named_where_the_model_is(tiny_index: Path) -> None:
    geo = Geolocator.open("toy", indexes_dir=tiny_index)
    assert geo.space.runtime == "torch"
    assert geo.search(photo(1)).to_dict()["runtime"] == "torch"
    assert "Photos encoded by" in explore_html(geo.index, None, runtime="onnx")
    assert "by torch" not in facts_line_html(geo.space)
    assert "runtime" not in ready_text(geo, "http://127.0.0.1:7860/")


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that towers are looked for in, with that of the tiny model."""
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module, reason=NO_EXTRA)
    from gair.cli import main as models

    home = tmp_path_factory.mktemp("towers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GAIR_ONNX", str(home))
        assert models(["export-onnx", "untrained:tiny"]) == 0
    return home


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "street.jpg"
    photo(3).save(path)
    return path


@pytest.fixture(scope="module")
def said(towers: Path, site_indexes: Path, street: Path) -> dict[str, Any]:
    """What a server without torch answers."""
    words = [str(site_indexes), str(free_port()), str(street)]
    done = subprocess.run(
        [sys.executable, "-c", SERVE, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "GAIR_ONNX": str(towers)},
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.slow
@pytest.mark.process
def test_a_server_answers_everything_without_torch(said: dict[str, Any]) -> None:
    assert said["torch"] is False
    assert said["page"] == 200
    served = {index["name"]: index for index in said["health"]["indexes"]}
    assert served["known"]["runtime"] == "onnx"
    for name in ("known", "ground", "decided"):
        assert said[name]["runtime"] == "onnx", said[name]
        assert all(c["refined_lonlat_deg"] is None for c in said[name]["candidates"])
        assert "cells_only" in [warning["code"] for warning in said[name]["warnings"]]
    assert said["decided"]["decision"]["kind"] == "none"
    assert "need the runtime torch" in said["decided"]["decision"]["reason"]
    assert said["ground"]["candidates"][0]["ground_photos"]
    assert said["pair"]["runtime"] == "onnx"
    for do in ("heat", "posterior", "locate", "told"):
        assert "error" not in said[do], said[do]
    assert "by onnx" in said["told"]["facts"]


@pytest.mark.slow
@pytest.mark.process
def test_its_numbers_are_those_of_torch(
    said: dict[str, Any], site_indexes: Path, street: Path
) -> None:
    engine = Engine.open(site_indexes)
    picture = street.read_bytes()
    for name in ("known", "ground"):
        answer = engine.search(name, [picture], k=3, refine=False)
        for given, wanted in zip(said[name]["candidates"], answer.candidates, strict=True):
            assert given["row"] == wanted.row
            assert given["rs_score"] == pytest.approx(wanted.rs_score, abs=PARITY)
            assert given["location_score"] == pytest.approx(wanted.location_score, abs=PARITY)
    verdict = engine.verify("known", [picture], -0.11, 51.5)
    assert said["verdict"]["verdict"] == verdict.verdict
    assert said["verdict"]["mass"] == pytest.approx(verdict.mass, abs=PARITY)
    heat = engine.heatmap("known", [picture], "imagery")
    np.testing.assert_allclose(said["heatmap"], heat.values, atol=PARITY)
    assert heat.credits["runtime"] == "torch"
    engine.close()
