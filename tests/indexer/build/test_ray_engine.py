"""Units on a real Ray cluster of this machine: the same index as the local engine's."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray_cluster import two_nodes
from resumable import build_argv, build_city, content, finished_units, start, wait_for_units

from gair.errors import ImageryError
from indexer.build.build import BuildReport
from indexer.build.ray_engine import RayEngine
from indexer.commands.cli import main
from indexer.imagery import open_imagery
from indexer.index.index import open_index


def children(pid: int) -> dict[int, str]:
    """All processes below one, and what each calls itself."""
    parents, names = {}, {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")")[1].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
    below = {pid}
    while grown := {p for p, parent in parents.items() if parent in below} - below:
        below |= grown
    return {p: names[p] for p in below - {pid}}


def workers_of(pid: int) -> list[int]:
    return [p for p, name in children(pid).items() if name.startswith("ray::UnitWorker")]


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_a_killed_worker_changes_nothing(city_tif: Path, tmp_path: Path) -> None:
    whole, _ = build_city(city_tif, tmp_path / "local", threads=1)
    argv = build_argv(city_tif, tmp_path / "ray", "--threads", "1", "--engine", "ray")
    process = start([*argv, "--workers", "2"])
    wait_for_units(tmp_path / "ray" / "city", 1, process)
    killed = workers_of(process.pid)[0]
    os.kill(killed, signal.SIGKILL)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    index = open_index(tmp_path / "ray" / "city")
    assert index.manifest.computed["engine"] == "ray"
    assert content(BuildReport(index.path, index.manifest)) == content(whole)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_one_engine_goes_on_from_the_units_of_another(city_tif: Path, tmp_path: Path) -> None:
    whole, _ = build_city(city_tif, tmp_path / "local", threads=1)
    argv = build_argv(city_tif, tmp_path / "mixed", "--threads", "1")
    process = start([*argv, "--engine", "ray", "--workers", "2"])
    wait_for_units(tmp_path / "mixed" / "city", 2, process)
    below = children(process.pid)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(Path(f"/proc/{p}").exists() for p in below):
        time.sleep(0.1)  # the cluster notices that its driver is gone
    done = len(finished_units(tmp_path / "mixed" / "city"))
    assert 2 <= done < whole.manifest.computed["units"]
    assert main([*argv, "--quiet"]) == 0
    index = open_index(tmp_path / "mixed" / "city")
    assert index.manifest.computed["units_resumed"] == done
    assert content(BuildReport(index.path, index.manifest)) == content(whole)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_a_killed_worker_of_another_node_changes_nothing(city_tif: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'gair-geolocator[ray]'")
    whole, _ = build_city(city_tif, tmp_path / "local", threads=1)
    argv = build_argv(city_tif, tmp_path / "ray", "--threads", "1")
    with two_nodes() as cluster:
        process = start([*argv, "--engine", f"ray:{cluster.address}"])
        worker = worker_at_work(cluster.raylet, process)
        wait_for_units(tmp_path / "ray" / "city", 1, process)
        done = len(finished_units(tmp_path / "ray" / "city"))
        os.kill(worker, signal.SIGKILL)
        _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert done < whole.manifest.computed["units"]  # it was lost in the middle
    index = open_index(tmp_path / "ray" / "city")
    assert index.manifest.computed["engine"] == "ray"
    assert index.manifest.computed["units_resumed"] == 0
    assert content(BuildReport(index.path, index.manifest)) == content(whole)


def worker_at_work(raylet: int, build: subprocess.Popen[str]) -> int:
    """The process of the one worker of a node, as soon as it is there."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and build.poll() is None:
        if found := workers_of(raylet):
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"no worker of the second node; the build's status is {build.poll()}")


@pytest.mark.slow
def test_what_goes_wrong_in_a_worker_arrives_as_one_line(city_tif: Path, tmp_path: Path) -> None:
    gone = RayEngine(functools.partial(open_imagery, tmp_path / "gone.tif"), workers=1)
    with pytest.raises(ImageryError, match=r"no file or folder .*gone.tif: check the path$"):
        build_city(city_tif, tmp_path, threads=1, engine=gone)
    assert list((tmp_path / "city").iterdir()) == [tmp_path / "city" / ".lock"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--engine", "spark"], "--engine 'spark' is none: choose local, ray or ray:ADDRESS"),
        (["--engine", "ray:"], "--engine 'ray:' is none"),
        (["--workers", "2"], "--workers 2 needs --engine ray and 1 or more"),
        (["--engine", "ray", "--workers", "0"], "--workers 0 needs --engine ray and 1 or more"),
        (["--threads", "0"], "--threads 0 is not 1 or more"),
    ],
)
def test_flags_that_cannot_work_are_refused(
    city_tif: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    assert main(build_argv(city_tif, tmp_path, *flags)) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {message}")


def test_without_ray_the_package_is_named(
    city_tif: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(build_argv(city_tif, tmp_path, "--engine", "ray")) == 1
    err = capsys.readouterr().err
    assert (
        "error: Ray is not installed: pip install 'gair-geolocator[ray]', or use --engine local"
        in err
    )
    assert not list(tmp_path.iterdir())
