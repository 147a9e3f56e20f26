"""Vectors in Milvus: the same answers as from the index's own files.

What runs milvus-lite is slow to start and marked so; the rest runs without it.
"""

from __future__ import annotations

import base64
import fnmatch
import json
import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hand_calibration import calibrate_by_hand
from milvus_server import milvus_server
from refusals import refusal
from small_builds import build_box, tiny_model
from toy_city import photo

from gair.errors import GairError, IndexMismatchError, SearchIndexError, UsageError
from gair.model import Gair
from indexer.commands.cli import main
from indexer.index import milvus
from indexer.index.index import open_index
from indexer.index.milvus import (
    TOKEN_VARIABLE,
    collection_name,
    is_store_address,
    milvus_uri,
    open_milvus,
    push_index,
    with_store,
)
from indexer.search.geolocator import Geolocator
from indexer.search.prior import build_prior

Capture = pytest.CaptureFixture[str]
slow = pytest.mark.slow
lite = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def server() -> None:
    """Skips where the extra is not installed."""
    pytest.importorskip("pymilvus", reason="the extra milvus is not installed")


@pytest.fixture
def toy(tiny_index: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_index / "toy", tmp_path / "toy"))


def test_addresses() -> None:
    assert is_store_address("milvus://x.db")
    assert not is_store_address("x.parquet")
    assert milvus_uri("milvus:///data/x.db") == "/data/x.db"
    assert milvus_uri("milvus://x.db") == str(Path("x.db").absolute())
    assert milvus_uri("milvus://db.example.org") == "http://db.example.org:19530"
    assert milvus_uri("milvus://localhost:1234/") == "http://localhost:1234"
    assert milvus_uri("milvus://[::1]:1234") == "http://[::1]:1234"
    assert is_store_address("milvus+tls://db.example.org")
    assert milvus_uri("milvus+tls://db.example.org") == "https://db.example.org:443"
    assert milvus_uri("milvus+tls://db.example.org:19530") == "https://db.example.org:19530"
    for wrong in ("milvus://", "milvus://a b", "milvus://host:port", "milvus+tls://x/y.db"):
        with pytest.raises(UsageError, match=r"write milvus://PATH.db, milvus://HOST:PORT or milv"):
            milvus_uri(wrong)


def test_a_password_in_an_address_is_refused_and_not_repeated(
    toy: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    for address in (
        "milvus://root:s3cret@host:1",
        "milvus+tls://root:s3cret@host",
        "x://a:s3cret@h",
    ):
        asked = refusal(["search", "x.jpg", "--index", str(toy), "--store", address], capsys, 2)
        filled = refusal(["export", str(toy), "--to", address], capsys, 2)
        assert "s3cret" not in asked + filled
        assert "set MILVUS_TOKEN to USER:PASSWORD" in asked or "x://***@h" in asked + filled


def test_another_address_is_refused(toy: Path) -> None:
    with pytest.raises(UsageError, match="`store` 'redis://x': write milvus://PATH.db, "):
        with_store(open_index(toy), "redis://x")


def test_without_the_extra_the_error_says_what_to_install(
    toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    with pytest.raises(GairError, match=r"needs pymilvus: pip install 'gair-geolocator\[milvus\]'"):
        push_index(open_index(toy), "milvus://x.db")
    argv = ["search", "any.jpg", "--index", str(toy), "--store", "milvus://x.db"]
    assert "pip install 'gair-geolocator[milvus]'" in refusal(argv, capsys)


@slow
@lite
@pytest.mark.usefixtures("server")
def test_the_answers_are_those_of_faiss(toy: Path, tmp_path: Path, capsys: Capture) -> None:
    calibrate_by_hand(toy)
    address = f"milvus://{tmp_path / 'toy.db'}"
    assert main(["export", "--index", str(toy), "--to", address, "--quiet"]) == 0
    index = open_index(toy)
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"{address}: {collection_name(index, kind)}, 171 vectors of 192 dimensions"
        for kind in ("rs", "location")
    ]
    rs, location, lists = open_milvus(index, address)
    queries = index.rs.vectors(np.array([5, 70])) * 0.6 + index.rs.vectors(np.array([9, 80])) * 0.5
    for ours, theirs in ((index.rs, rs), (index.location, location)):
        assert (theirs.count, theirs.dim) == (ours.count, ours.dim)
        rows = np.array([170, 0, 3, 3])
        np.testing.assert_array_equal(theirs.vectors(rows), ours.vectors(rows))
        np.testing.assert_allclose(theirs.scores(queries), ours.scores(queries), atol=1e-5)
        best = np.argsort(-ours.scores(queries), axis=1)[:, :10]
        np.testing.assert_array_equal(theirs.shortlist(queries, 10), best)
    allowed = np.zeros(171, dtype=bool)
    allowed[[4, 90]] = True
    assert set(lists.rs.shortlist(queries[:1], 50, allowed)[0].tolist()) - {-1} == {4, 90}
    flat = Geolocator(index, tiny_model())
    milvus = Geolocator.open(toy, model=tiny_model(), store=address)
    for seed in range(4):
        a, b = flat.search(photo(seed), k=5), milvus.search(photo(seed), k=5)
        assert [c.row for c in a.candidates] == [c.row for c in b.candidates]
        for one, other in zip(a.candidates, b.candidates, strict=True):
            assert other.score == pytest.approx(one.score, abs=1e-5)
            assert other.probability == pytest.approx(one.probability, abs=1e-5)
        assert [r["cells"] for r in a.regions] == [r["cells"] for r in b.regions]
        assert any("found by Milvus at milvus://" in warning for warning in b.warnings)
    prior = build_prior(index, where="lat_deg > 51.51")
    a, b = (geo.search(photo(1), prior=prior, k=3) for geo in (flat, milvus))
    assert [c.row for c in a.candidates] == [c.row for c in b.candidates]
    assert (
        flat.verify(photo(0), -0.1, 51.51).verdict == milvus.verify(photo(0), -0.1, 51.51).verdict
    )


@slow
@lite
@pytest.mark.usefixtures("server")
def test_the_command_line_searches_there(toy: Path, tmp_path: Path, capsys: Capture) -> None:
    photo(3).save(tmp_path / "p.jpg")
    address = f"milvus://{tmp_path / 'toy.db'}"
    assert main(["export", "--index", str(toy), "--to", address, "--quiet"]) == 0
    argv = ["search", str(tmp_path / "p.jpg"), "--index", str(toy), "--json"]
    capsys.readouterr()
    assert main(argv) == 0
    here = json.loads(capsys.readouterr().out)
    assert main([*argv, "--store", address]) == 0
    there = json.loads(capsys.readouterr().out)
    places = [[(c["row"], c["h3_cell"]) for c in a[0]["candidates"]] for a in (here, there)]
    assert places[0] == places[1]


@slow
@lite
@pytest.mark.usefixtures("server")
def test_a_build_that_is_not_there_is_refused(city_tif: Path, toy: Path, tmp_path: Path) -> None:
    address = f"milvus://{tmp_path / 'toy.db'}"
    with pytest.raises(SearchIndexError, match="does not hold index 'toy', build .* export toy --"):
        open_milvus(open_index(toy), address)
    push_index(open_index(toy), address, quiet=True)
    push_index(open_index(toy), address, quiet=True)  # again: replaced, not doubled
    assert open_milvus(open_index(toy), address)[0].count == 171
    build_box(city_tif, tmp_path, name="toy", resolution=9)
    with pytest.raises(SearchIndexError, match="does not hold index 'toy', build"):
        open_milvus(open_index(toy), address)


@pytest.mark.process
@slow
@lite
@pytest.mark.usefixtures("server")
def test_who_asks_comes_from_the_environment_and_shows_nowhere(
    toy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(3).save(tmp_path / "p.jpg")
    monkeypatch.setenv(TOKEN_VARIABLE, "root:s3cret")
    with milvus_server(tmp_path / "db", "root:s3cret") as address:
        assert main(["export", str(toy), "--to", address, "--quiet"]) == 0
        argv = ["search", str(tmp_path / "p.jpg"), "--index", str(toy), "--store", address]
        assert main([*argv, "--json"]) == 0
        out, err = capfd.readouterr()
        assert "h3_cell" in out
    files = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert any(f.name == "manifest.json" for f in files)
    for told in (out, err, *(f.read_bytes().decode("latin-1") for f in files)):
        for secret in ("s3cret", base64.b64encode(b"root:s3cret").decode()):
            assert secret not in told


@pytest.mark.process
@slow
@lite
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("", "wants to know who asks (*: set MILVUS_TOKEN to USER:PASSWORD or an API key"),
        (
            "root:s3cret",
            "does not let in who MILVUS_TOKEN names (no user ***, nor ***, nor ***): set it",
        ),
        ("keyW1thoutUser", "does not let in who MILVUS_TOKEN names (*"),
    ],
)
def test_who_is_not_let_in_is_told_what_to_set(
    toy: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    told: str,
) -> None:
    """The server is as careless as can be: it repeats what it was sent."""
    monkeypatch.setenv(TOKEN_VARIABLE, token)
    sent = base64.b64encode(token.encode()).decode()
    saying = f"no user root:{token.partition(':')[2]}, nor {token or 'anybody'}, nor {sent}"
    with milvus_server(tmp_path / "db", "root:another", saying) as address:
        for argv in (
            ["export", str(toy), "--to", address, "--quiet"],
            ["search", "p.jpg", "--index", str(toy), "--store", address],
        ):
            assert main(argv) == 1
            out, err = capfd.readouterr()
            assert out == ""
            assert fnmatch.fnmatchcase(err, f"error: {address} {told.replace('[', '[[]')}*\n"), err
            assert len(err.splitlines()) == 1
            for secret in filter(None, (token, token.partition(":")[2], sent)):
                assert secret not in err
        with pytest.raises(SearchIndexError) as refused:
            open_milvus(open_index(toy), address)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__


@slow
@lite
@pytest.mark.usefixtures("server")
def test_what_belongs_to_another_index_or_model_is_neither_read_nor_replaced(
    city_tif: Path, toy: Path, tmp_path: Path
) -> None:
    address = f"milvus://{tmp_path / 'toy.db'}"
    push_index(open_index(toy), address, quiet=True)
    # Of the same name and build, with as many cells, but another model.
    other = build_box(city_tif, tmp_path / "other", name="toy", model=Gair.untrained("tiny"))
    mine = build_box(city_tif, tmp_path / "mine", name="toy", model=Gair.untrained("tiny", seed=7))
    index, stranger = (open_index(report.path.parent) for report in (mine, other))
    build = index.manifest.build
    stranger = replace(stranger, manifest=replace(stranger.manifest, build=build))
    push_index(index, address, quiet=True)
    told = f"{collection_name(index, 'rs')} at .* belongs to another index or model; drop it"
    with pytest.raises(IndexMismatchError, match=told):
        open_milvus(stranger, address)
    with pytest.raises(IndexMismatchError, match=told):
        push_index(stranger, address, quiet=True)
    assert open_milvus(index, address)[0].count == len(index.cells)


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@slow
@lite
@pytest.mark.usefixtures("server")
def test_a_server_that_does_not_answer_is_one_line(
    toy: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milvus, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (unused_port(), silent.getsockname()[1]):
            address = f"milvus://127.0.0.1:{port}"
            assert main(["export", str(toy), "--to", address, "--quiet"]) == 1
            told = capfd.readouterr().err
            assert told.startswith(f"error: cannot reach Milvus at {address} (")
            assert told.endswith(
                "check host and port, that it runs there, and whether it wants milvus+tls://\n"
            )
            assert len(told.splitlines()) == 1


@pytest.mark.process
@slow
@lite
@pytest.mark.usefixtures("server")
def test_a_server_that_dies_is_one_line(
    toy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "root:s3cret")
    with milvus_server(tmp_path / "db", "root:s3cret") as address:
        push_index(open_index(toy), address, quiet=True)
        geolocator = Geolocator.open(toy, model=tiny_model(), store=address)
        geolocator.search(photo(1))
    with pytest.raises(SearchIndexError, match=f"cannot reach Milvus at {address} ") as gone:
        geolocator.search(photo(1))
    assert "\n" not in str(gone.value)
    assert capfd.readouterr().err == ""


def test_a_folder_that_is_not_there_is_named(toy: Path, tmp_path: Path) -> None:
    pytest.importorskip("pymilvus", reason="the extra milvus is not installed")
    with pytest.raises(SearchIndexError, match="there is no folder .*gone: make it first"):
        open_milvus(open_index(toy), f"milvus://{tmp_path}/gone/x.db")
