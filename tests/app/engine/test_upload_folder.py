"""Folders of uploads end with their server, killed ones by the next one's start."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from repository import REPOSITORY

from app.engine.upload_folder import sweep_dead, upload_folder

SERVER = """
import sys, time
from app.engine.upload_folder import upload_folder
with upload_folder() as folder:
    (folder / "abc").mkdir()
    (folder / "abc" / "photo.jpg").write_bytes(b"somebody's photo")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_a_folder_is_private_and_goes_with_its_block(temporary: Path) -> None:
    with upload_folder() as folder:
        assert folder.parent == temporary
        assert folder.name.startswith("gair-uploads-")
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "photo.jpg").touch()
        assert sweep_dead() == []  # it lives
        assert folder.exists()
    assert list(temporary.iterdir()) == []


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="needs locks of folders")
def test_the_folder_of_a_killed_server_goes_and_that_of_a_living_one_stays(
    temporary: Path,
) -> None:
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", SERVER], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    outs = [server.stdout for server in servers]
    killed, living = (Path(out.readline().strip()) for out in outs if out is not None)
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (temporary / "gair-uploads-link").symlink_to(elsewhere)
    try:
        servers[0].send_signal(signal.SIGKILL)
        servers[0].wait()
        assert (killed / "abc" / "photo.jpg").exists()
        with upload_folder() as folder:
            assert not killed.exists()
            assert (living / "abc" / "photo.jpg").exists()
            assert folder.exists()
    finally:
        servers[1].terminate()
        for server, out in zip(servers, outs, strict=True):
            server.wait()
            assert out is not None
            out.close()
    assert elsewhere.exists()
    assert sweep_dead() == [living]
