"""``prune --imagery``: limits for the cache of fetched imagery, beside builds that run."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from refusals import refusal
from repository import REPOSITORY
from stac_world import DATES, FRAME, SHAPE, World, brighter, published, scene, toy_pixels
from warm_processes import WarmProcess

from indexer.commands.cli import main
from indexer.commands.prune import parsed_size
from indexer.imagery.stac.cache import CACHE_VARIABLE, IN_USE, Lease, pruning
from indexer.imagery.stac.prune_cache import prune_imagery

Capture = pytest.CaptureFixture[str]
DAY_S = 86_400
EARLY = "2024-06-01/2024-06-05"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One place on two dates."""
    folder = tmp_path_factory.mktemp("stac")
    dn = toy_pixels()
    scenes = [scene("early", "2024-06-01", dn), scene("late", "2024-06-11", brighter(dn, 10))]
    with published(folder, scenes) as world:
        yield world


def read(world: World, cache: Path, dates: str = DATES) -> np.ndarray:
    with world.open(cache, dates=dates) as imagery:
        dn = imagery.read(FRAME, SHAPE).dn
    del imagery
    gc.collect()  # nobody uses the cache any more
    return dn


@pytest.fixture(scope="module")
def fetched(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("fetched") / "cache"
    read(world, cache)
    return cache


@pytest.fixture
def cache(fetched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fetched, tmp_path / "cache"))


def windows(cache: Path, name: str = "") -> list[Path]:
    return sorted(cache.glob(f"*/{name}*/*.tif"))


def used(path: Path, days_ago: float) -> None:
    os.utime(path, (time.time() - days_ago * DAY_S,) * 2)


@pytest.mark.process
def test_without_limits_the_size_is_told_and_nothing_goes(
    cache: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    size, count = sum(f.stat().st_size for f in windows(cache)), len(windows(cache))
    assert count >= 4
    assert main(["prune", "--imagery"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{cache}: {size:,} bytes in {count} windows",
        "removed: 0 bytes in 0 windows",
        f"{size:,} bytes left",
    ]
    assert len(windows(cache)) == count


@pytest.mark.process
def test_the_longest_unused_goes_first_until_the_rest_fits(cache: Path, capsys: Capture) -> None:
    files = windows(cache)
    order = [*files[1::2], *files[::2]]
    for number, path in enumerate(order):
        used(path, 100 - number)
    sizes = [path.stat().st_size for path in order]
    most = sum(sizes[2:]) + sizes[1] // 2  # so the first two must go
    argv = ["prune", "--imagery", "--imagery-cache", str(cache), "--max-size", f"{most}"]
    assert main([*argv, "--dry-run"]) == 0
    assert f"would go: {sum(sizes[:2]):,} bytes in 2 windows" in capsys.readouterr().out
    assert windows(cache) == files
    assert main(argv) == 0
    told = capsys.readouterr().out
    assert f"removed: {sum(sizes[:2]):,} bytes in 2 windows" in told
    assert f"{sum(sizes[2:]):,} bytes left" in told
    assert windows(cache) == sorted(order[2:])


@pytest.mark.process
def test_age_is_that_of_the_last_use(world: World, cache: Path) -> None:
    for path in windows(cache):
        used(path, 40)
    read(world, cache, EARLY)
    assert prune_imagery(cache, most_days=41).removed == 0
    late = windows(cache, "late")
    assert prune_imagery(cache, most_days=39).removed == len(late) > 0
    assert windows(cache, "late") == []
    assert not list(cache.glob("*/late*"))
    assert len(windows(cache, "early")) == len(late)


@pytest.mark.process
def test_what_went_is_fetched_again(world: World, cache: Path) -> None:
    before, wanted = windows(cache), read(world, cache)
    prune_imagery(cache, most_bytes=0)
    assert windows(cache) == []
    np.testing.assert_array_equal(read(world, cache), wanted)
    assert windows(cache) == before


@pytest.mark.process
def test_only_what_builds_put_there_goes(cache: Path) -> None:
    scene_folder = windows(cache)[0].parent
    mine = [cache / "a" / "b" / "fine-0000-0000.tif", cache / "photo.tif", scene_folder / "own.tif"]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    half = scene_folder / ".fine-0000-0000.123.tmp.tif"
    half.write_bytes(bytes(10))
    pruned = prune_imagery(cache)
    assert (pruned.removed, pruned.removed_bytes) == (1, 10)  # left by a build that died
    assert not half.exists()
    prune_imagery(cache, most_bytes=0)
    assert set(cache.rglob("*.tif")) == set(mine)


def in_use(cache: Path) -> list[Path]:
    return [path for path in (cache / IN_USE).iterdir() if path.name != "lock"]


def stopped_build(world: World, cache: Path, out: Path) -> subprocess.Popen[bytes]:
    """A build of the early scene, halted as soon as it uses the cache."""
    box = "--bbox=-0.113,51.501,-0.102,51.509"
    argv = ["build", box, "--imagery", f"stac:{world.url}", "--imagery-cache", str(cache)]
    argv += ["--dates", EARLY, "--model", "untrained:tiny", "--resolution", "10"]
    argv += ["--out", str(out), "--quiet"]
    process = WarmProcess([sys.executable, "-m", "indexer", *argv], cwd=REPOSITORY)
    deadline = time.monotonic() + 60
    while not any(path.read_text() for path in in_use(cache)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    time.sleep(0.05)  # it may still hold the lock that prune would wait for
    process.send_signal(signal.SIGSTOP)
    return process


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="stops a process by a signal")
def test_what_a_running_build_uses_stays(
    world: World, cache: Path, tmp_path: Path, capsys: Capture
) -> None:
    prune_imagery(cache)  # nobody uses it
    early, size = windows(cache, "early"), sum(f.stat().st_size for f in windows(cache, "early"))
    argv = ["prune", "--imagery", "--imagery-cache", str(cache), "--max-size", "0"]
    process = stopped_build(world, cache, tmp_path / "indexes")
    try:
        assert main([*argv, "--max-age", "0"]) == 0
        told = capsys.readouterr().out
        assert f"stays: a running build uses it: {size:,} bytes\n" in told
        assert f"{size:,} bytes left" in told
        assert windows(cache) == early
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    assert in_use(cache) == []
    assert main(argv) == 0
    assert "0 bytes left" in capsys.readouterr().out
    assert windows(cache) == []


@pytest.mark.process
def test_a_killed_process_holds_nothing(cache: Path) -> None:
    script = "import sys; from pathlib import Path; from indexer.imagery.stac.cache import Lease; "
    script += "i = Lease(Path(sys.argv[1])); i.add(Path(sys.argv[2])); "
    script += "print('in use', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(cache), str(windows(cache)[0].parent)]
    with WarmProcess(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in use\n"
        assert 0 < prune_imagery(cache, most_bytes=0, dry_run=True).held_bytes
        process.kill()
    assert len(in_use(cache)) == 1
    assert prune_imagery(cache, most_bytes=0).left_bytes == 0
    assert windows(cache) == in_use(cache) == []


def test_a_build_waits_for_a_prune_and_then_has_its_scene(tmp_path: Path) -> None:
    mine = Lease(tmp_path)
    with pruning(tmp_path) as held:
        assert held == frozenset()
        adding = threading.Thread(target=mine.add, args=(tmp_path / "c" / "scene",))
        adding.start()
        adding.join(0.2)
        assert adding.is_alive()
    adding.join(10)
    assert not adding.is_alive()
    with pruning(tmp_path) as held:
        assert held == {"c/scene"}
    del mine, adding
    gc.collect()
    with pruning(tmp_path) as held:
        assert held == frozenset()


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500MB", 500_000_000), ("1.5 gb", 1_500_000_000), ("7", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert parsed_size(text) == size


def test_wrong_usage(tmp_path: Path, capsys: Capture) -> None:
    at = ["prune", "--imagery", "--imagery-cache", str(tmp_path)]
    for flags, says in (
        ([*at, "--max-size", "much"], "--max-size 'much' is no size: write 500MB, 50GB"),
        ([*at, "--max-age", "-1"], "a limit of -1.0 is less than none: give 0 or more"),
        ([*at, "london"], "--imagery prunes no index: leave out INDEX"),
        (["prune", "london", "--max-age", "9"], "are of prune --imagery: add it"),
        ([*at[:-1], str(tmp_path / "gone")], f"there is no imagery cache {tmp_path / 'gone'}: "),
    ):
        assert says in refusal(flags, capsys, 2)
