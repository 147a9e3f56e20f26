"""Pulls: only what is listed, only what changed, and the old index or the new one at any moment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from file_server import serving as files_serving
from repository import REPOSITORY
from said_errors import refused
from shared_samples import content, give_photos, killed_at, serving, write_shared

import indexer.sharing.pull
from gair.errors import IndexCorruptError, SharingError, UsageError
from gair.http import Patience
from indexer import list_indexes, open_index, pull_index, push_index
from indexer.commands.cli import main
from indexer.ground.reference_photos import open_reference_photos
from indexer.index.prune import prune_index
from indexer.search.geolocator import Geolocator
from indexer.sharing.listing import SharedIndex


@pytest.fixture(scope="module")
def homes(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("homes")
    write_shared(city_tif, out)
    for name in ("first", "second"):
        push_index(out / name / "box", out / f"{name}-share", quiet=True)
    return out


def pulled(source: str | Path, out: Path) -> int:
    return pull_index(source, indexes_dir=out, quiet=True).moved_bytes


def test_a_pulled_index_is_the_one_that_was_pushed(homes: Path, tmp_path: Path) -> None:
    report = pull_index(homes / "first-share", indexes_dir=tmp_path, quiet=True)
    assert content(tmp_path / "box") == content(homes / "first" / "box")
    assert report.moved_bytes == report.listing.size_bytes
    geolocator = Geolocator.open("box", indexes_dir=tmp_path)
    assert geolocator.calibration is not None
    assert geolocator.space.ground is not None
    assert "CC BY-SA 4.0" in (tmp_path / "box" / "README.md").read_text()
    again = pull_index(homes / "first-share", indexes_dir=tmp_path, quiet=True)
    assert (again.moved_bytes, again.changed) == (0, False)


def test_a_shared_folder_is_a_folder_of_indexes(homes: Path) -> None:
    assert open_index(homes / "first-share" / "box").name == "box"
    (about,) = list_indexes(homes / "first-share").values()
    assert about["licence"] == "Apache-2.0 (random weights)"


def test_only_what_changed_is_moved(homes: Path, tmp_path: Path) -> None:
    """The reference photos stayed the same, so they are here."""
    pulled(homes / "first-share", tmp_path)
    report = pull_index(homes / "second-share", indexes_dir=tmp_path, quiet=True)
    photos = report.listing.reference_photos
    assert photos is not None
    same = [r.size_bytes for p, r in report.listing.files.items() if p.startswith(photos.folder)]
    assert report.moved_bytes == report.listing.size_bytes - sum(same)
    assert content(tmp_path / "box") == content(homes / "second" / "box")


def test_a_push_moves_only_what_changed_and_removes_the_old(homes: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    first = push_index(homes / "first" / "box", share, quiet=True)
    assert first.moved_bytes == first.listing.size_bytes
    assert push_index(homes / "first" / "box", share, quiet=True).moved_bytes == 0
    second = push_index(homes / "second" / "box", share, quiet=True)
    assert 0 < second.moved_bytes < second.listing.size_bytes
    assert not (share / "box" / first.listing.build).exists()
    assert content(share / "box") == content(homes / "second" / "box")


def test_private_photos_never_leave(homes: Path, tmp_path: Path) -> None:
    shutil.copytree(homes / "first" / "box", tmp_path / "box")
    give_photos(tmp_path / "box", private=1)
    report = push_index(tmp_path / "box", tmp_path / "share", quiet=True)
    assert report.listing.reference_photos is None
    assert "1 of them are private" in report.lines[1]
    pulled(tmp_path / "share", tmp_path / "out")
    assert open_reference_photos(tmp_path / "out" / "box") is None


def test_photos_that_were_added_here_stay(homes: Path, tmp_path: Path) -> None:
    push_index(homes / "second" / "box", tmp_path / "share", reference_photos=False, quiet=True)
    pulled(homes / "first-share", tmp_path)
    before = (tmp_path / "box" / "GROUND").read_bytes()
    pulled(tmp_path / "share", tmp_path)
    assert (tmp_path / "box" / "GROUND").read_bytes() == before
    assert open_reference_photos(tmp_path / "box") is not None


def test_a_damaged_file_is_brought_again(homes: Path, tmp_path: Path) -> None:
    report = pull_index(homes / "first-share", indexes_dir=tmp_path, quiet=True)
    damaged = tmp_path / "box" / report.listing.build / "rs.faiss"
    damaged.write_bytes(b"\0" * damaged.stat().st_size)
    with pytest.raises(IndexCorruptError):
        open_index(tmp_path / "box")
    assert pulled(homes / "first-share", tmp_path) == damaged.stat().st_size
    assert content(tmp_path / "box") == content(homes / "first" / "box")


def test_a_damaged_index_is_not_pushed(homes: Path, tmp_path: Path) -> None:
    shutil.copytree(homes / "first" / "box", tmp_path / "box")
    (file,) = (tmp_path / "box").glob("*/tokens.npy")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(IndexCorruptError, match="differs from what was built"):
        push_index(tmp_path / "box", tmp_path / "share", quiet=True)
    assert not (tmp_path / "share" / "indexes.json").exists()


@pytest.mark.parametrize(
    "stride", [pytest.param(9, marks=pytest.mark.process), pytest.param(1, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("old", [False, True], ids=["nothing here", "an older build here"])
def test_a_pull_killed_anywhere_leaves_the_old_or_nothing(
    homes: Path, tmp_path: Path, old: bool, stride: int
) -> None:
    """At changes of a name in turn; and the next pull makes it whole."""
    wanted = content(homes / "second" / "box")
    before = None
    if old:
        pulled(homes / "first-share", tmp_path / "old")
        before = serving(tmp_path / "old" / "box")
    new = serving(homes / "second" / "box")
    step, ended, seen = 0, False, set()
    while not ended:
        out = tmp_path / str(step)
        if old:
            shutil.copytree(tmp_path / "old", out, copy_function=os.link)
        ended = killed_at(step, lambda out=out: pulled(homes / "second-share", out))  # type: ignore[misc]
        serves = serving(out / "box")
        assert serves in (before, new), step
        if serves is not None:
            open_reference_photos(out / "box")
        seen.add(serves)
        pulled(homes / "second-share", out)
        assert content(out / "box") == wanted, step
        assert not list((out / "box").glob(".pulled-*")), step
        shutil.rmtree(out)
        step += stride
    assert seen == {before, new}
    assert step > 20


@pytest.mark.process
def test_a_killed_download_goes_on_in_the_middle(homes: Path, tmp_path: Path) -> None:
    share = homes / "first-share"
    total = sum(f.stat().st_size for f in (homes / "first" / "box").rglob("*") if f.is_file())
    with files_serving(share) as served:
        argv = ["index", "pull", served.url, "--indexes", str(tmp_path), "--quiet"]
        served.always = "stall"
        served.trouble = [None] * 7
        served.stall_s = 60
        process = subprocess.Popen([sys.executable, "-m", "indexer", *argv], cwd=REPOSITORY)
        deadline = time.monotonic() + 120
        while len(served.log) < 8 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert serving(tmp_path / "box") is None
        served.always = None
        before = served.bytes_sent
        assert before > 0
        (waiting,) = (tmp_path / "box").glob(".pulled-*")
        kept = sum(f.stat().st_size for f in waiting.rglob("*") if f.is_file())
        pulled(served.url, tmp_path)
        assert content(tmp_path / "box") == content(homes / "first" / "box")
        assert served.bytes_sent - before <= total - kept + 20_000  # and the listings again


def test_a_server_that_hangs_up_is_asked_for_the_rest(
    homes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexer.sharing.pull, "PATIENCE", Patience(first_pause_s=0.01))
    with files_serving(homes / "first-share") as served:
        served.trouble = [None, None, None, "close", 503, None, "close"]
        pulled(served.url, tmp_path)
        assert content(tmp_path / "box") == content(homes / "first" / "box")
        served.always = 503
        with refused(SharingError, "indexes.json answered with status 503"):
            pull_index(served.url, as_name="other", indexes_dir=tmp_path, quiet=True)
    assert not (tmp_path / "other").exists()


def test_half_a_file_is_completed_by_its_range(homes: Path, tmp_path: Path) -> None:
    report = pull_index(homes / "first-share", indexes_dir=tmp_path / "whole", quiet=True)
    build = report.listing.build
    waiting = tmp_path / "box" / f".pulled-{build}" / build
    waiting.mkdir(parents=True)
    half = (homes / "first" / "box" / build / "tokens.npy").read_bytes()[:5000]
    (waiting / "tokens.npy.part").write_bytes(half)
    with files_serving(homes / "first-share") as served:
        again = pull_index(served.url, indexes_dir=tmp_path, quiet=True)
    assert again.moved_bytes == report.listing.size_bytes - 5000


def lie(share: Path, out: Path, **changes: object) -> Path:
    """A copy of a shared folder whose listing says something else."""
    shutil.copytree(share, out)
    listing = out / "box" / "listing.json"
    values = json.loads(listing.read_bytes())
    listing.write_text(json.dumps({**values, **changes}))
    return out


def with_file(share: Path, path: str) -> dict[str, object]:
    values = json.loads((share / "box" / "listing.json").read_bytes())
    return {"files": {**values["files"], path: {"sha256": "0" * 64, "size_bytes": 3}}}


@pytest.mark.parametrize(
    "path", ["../../evil", "/etc/passwd", "BUILD/../../evil", "BUILD/.hidden", "x/y", "BUILD/a/b"]
)
def test_no_path_leads_out_of_the_index(homes: Path, tmp_path: Path, path: str) -> None:
    share = homes / "first-share"
    build = json.loads((share / "box" / "listing.json").read_bytes())["build"]
    lying = lie(share, tmp_path / "lying", **with_file(share, path.replace("BUILD", build)))
    with refused(SharingError, "is no file of an index", "do not trust it"):
        pulled(lying, tmp_path / "out")
    assert not (tmp_path / "out" / "box").exists()


def test_what_is_sent_must_be_what_is_listed(homes: Path, tmp_path: Path) -> None:
    shutil.copytree(homes / "first-share", tmp_path / "share")
    (file,) = (tmp_path / "share" / "box").glob("*/location.faiss")
    right = file.read_bytes()
    file.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with refused(SharingError, "is not what its listing says"):
        pulled(tmp_path / "share", tmp_path / "out")
    file.write_bytes(right + bytes(1 << 20))
    with refused(SharingError, "has more than the"):
        pulled(tmp_path / "share", tmp_path / "out")
    assert serving(tmp_path / "out" / "box") is None
    file.write_bytes(right)
    pulled(tmp_path / "share", tmp_path / "out")
    assert content(tmp_path / "out" / "box") == content(homes / "first" / "box")


def test_a_listing_must_fit_its_manifest(homes: Path, tmp_path: Path) -> None:
    share = homes / "first-share"
    model = json.loads((share / "box" / "listing.json").read_bytes())["model"]
    lying = lie(share, tmp_path / "lying", model={**model, "licence": "free for all"})
    with refused(SharingError, "of another build than its manifest"):
        pulled(lying, tmp_path / "out")
    assert serving(tmp_path / "out" / "box") is None


def test_the_terms_come_first_and_can_end_it(homes: Path, tmp_path: Path) -> None:
    def no(listing: SharedIndex) -> None:
        raise UsageError(f"not under {listing.model.licence}")

    with pytest.raises(UsageError, match="not under Apache"):
        pull_index(homes / "first-share", indexes_dir=tmp_path, before=no)
    assert not (tmp_path / "box").exists()


def test_what_is_left_of_a_pull_can_be_pruned(homes: Path, tmp_path: Path) -> None:
    pulled(homes / "first-share", tmp_path)
    (tmp_path / "box" / ".pulled-x").mkdir()
    (kept,) = prune_index(tmp_path / "box")
    assert "the same pull goes on" in kept.kept_because
    prune_index(tmp_path / "box", units=True)
    assert not (tmp_path / "box" / ".pulled-x").exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere", "no folder or bundle 'nowhere': give a folder"),
        ("ftp://example.org/x", "is no source: give a folder"),
        ("hf:justone", "is no repository: write hf:OWNER/NAME"),
        ("http://127.0.0.1:9/x", "does not answer"),
    ],
)
def test_what_is_no_source_is_one_line(
    source: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", "list", source]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_the_command_line_says_whose_it_is(
    homes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    share, out = str(tmp_path / "share"), ["--indexes", str(tmp_path / "out"), "--quiet"]
    assert main(["index", "push", str(homes / "first" / "box"), share, "--quiet"]) == 0
    assert main(["index", "list", share]) == 0
    assert main(["index", "pull", share, "box", "--as", "mine", *out]) == 0
    told = capsys.readouterr().out
    assert "box: 23 cells of box" in told
    assert told.count("reference photos: 12 vectors, no pixels; 12 under CC BY-SA 4.0") == 2
    assert "index mine, build" in told
    assert main(["index", "pull", share, "nobox", *out]) == 1
    assert "has no index 'nobox'; there are: box" in capsys.readouterr().err
