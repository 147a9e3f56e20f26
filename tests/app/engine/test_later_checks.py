"""A server's index whose large files are verified while it answers, and one that is damaged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from photo_samples import encode
from small_builds import flip_byte, grow_tokens, serving_build
from toy_city import photo

from app.engine.engine import Engine
from app.engine.indexes import Indexes
from app.http.health import health_report
from app.http.mcp import call_tool
from gair.errors import IndexCorruptError
from indexer.index import later_checks
from indexer.index.later_checks import LaterChecks
from indexer.search.scored import Scored

ONE = encode(photo(), "JPEG")


@pytest.fixture
def folder(tiny_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAIR_HASHES", str(tmp_path / "notes"))
    return Path(shutil.copytree(tiny_index, tmp_path / "indexes"))


@pytest.fixture
def engine(folder: Path) -> Iterator[Engine]:
    engine = Engine.open(folder)
    yield engine
    engine.close()


@pytest.fixture
def damaged_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(later_checks, "LARGE_BYTES", 0)
    file = serving_build(folder / "toy") / "rs.faiss"
    flip_byte(file)
    return file


def checks(engine: Engine) -> LaterChecks:
    later = engine.indexes.open_now()["toy"].serving().index.later
    assert later is not None
    return later


def told(engine: Engine) -> tuple[str, str, str | None]:
    """What health says: of the server, of the index, and of its problem."""
    health = health_report(engine, 0.0, trusted=True)
    (index,) = health["indexes"]
    assert health_report(engine, 0.0, trusted=False) == {"status": health["status"]}
    return health["status"], index["verification"], index["problem"]


def test_it_answers_first_and_is_verified_then(engine: Engine, folder: Path) -> None:
    grow_tokens(folder / "toy")
    answer = engine.search("toy", [ONE], k=3)
    assert told(engine) == ("ok", "verifying", None)
    assert checks(engine).wait(120) == "verified"
    assert told(engine) == ("ok", "verified", None)
    assert engine.search("toy", [ONE], k=3).candidates == answer.candidates


def test_no_question_is_answered_from_damaged_files(engine: Engine, damaged_file: Path) -> None:
    engine.indexes.get("toy")
    assert checks(engine).wait(60) == "damaged"
    lon_deg, lat_deg = -0.1, 51.5
    for ask in (
        lambda: engine.search("toy", [ONE]),
        lambda: engine.verify("toy", [ONE], lon_deg, lat_deg),
        lambda: engine.heatmap("toy", [ONE]),
        lambda: engine.compare("toy", ONE, ONE),
        lambda: engine.similar("toy", [(lon_deg, lat_deg)]),
        lambda: engine.photos_near("toy", lon_deg, lat_deg),
    ):
        with pytest.raises(IndexCorruptError, match=f"no more answers: {damaged_file} differs"):
            ask()
    status, verification, problem = told(engine)
    assert (status, verification) == ("damaged", "damaged")
    assert problem is not None
    assert str(damaged_file) in problem
    arguments = {"like": ["51.5, -0.1"]}
    called = call_tool(engine, "toy", {"name": "similar_places", "arguments": arguments})
    assert called["isError"]
    assert str(damaged_file) in called["content"][0]["text"]


def test_a_mended_index_has_no_scores_of_the_damaged_one(
    engine: Engine, damaged_file: Path
) -> None:
    scored: list[Scored] = []

    def ask() -> None:
        with engine._question("toy") as (geo, deadline):
            ((_, seen),) = engine._seen(geo, [ONE], deadline)
            scored.append(geo.every_cell(seen))
            checks(engine).wait(60)

    with pytest.raises(IndexCorruptError, match=f"{damaged_file} differs"):
        ask()  # an answer that is on its way is kept back
    flip_byte(damaged_file)
    engine.indexes.open_now()["toy"].newest()
    assert told(engine) == ("ok", "verified", None)
    with engine._question("toy") as (geo, deadline):
        ((_, seen),) = engine._seen(geo, [ONE], deadline)
    wrong, right = scored[0], geo.every_cell(seen)
    assert (right.s == wrong.s).all()
    assert not (right.rs == wrong.rs).all()


def test_whoever_wants_it_verified_first_can_have_it(folder: Path, damaged_file: Path) -> None:
    with pytest.raises(IndexCorruptError, match=f"^{damaged_file} differs"):
        Indexes(folder, verify="first").get("toy")
