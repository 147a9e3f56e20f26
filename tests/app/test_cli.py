"""The command that serves the page: quick help, one-line errors, a clean end."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from app_pages import STOPPING_S, free_port
from warm_processes import WarmServer

from app.cli import build_parser, main, read_options
from app.options import Credentials, ServerOptions, TileSource, is_loopback
from gair.errors import UsageError

TILES = "https://tiles.example.org/{z}/{x}/{y}.png"
HEAVY = ("torch", "gradio", "faiss", "rasterio", "duckdb", "h3", "numpy")


def options_of(*argv: str) -> ServerOptions:
    """What a command line chooses."""
    return read_options(build_parser().parse_args(argv))[1]


@pytest.mark.process
def test_help_teaches_and_loads_nothing_heavy() -> None:
    code = f"""
import sys
from app.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert end.code == 0
loaded = [name for name in {HEAVY} if name in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout
    assert "python -m indexer build" in done.stdout
    for line in done.stdout.splitlines():
        assert len(line) <= 100


def test_every_flag_is_explained() -> None:
    for action in build_parser()._actions:
        assert action.help, action.option_strings


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["--index", "atlantis"], 1, "atlantis"),
        (["--index", "../toy"], 1, "toy"),
        (["--index", "toy", "--host", "0.0.0.0"], 2, "--auth"),
        (["--index", "toy", "--host", "example.org"], 2, "--no-auth-i-know"),
        (["--index", "toy", "--auth", "alice"], 2, "user:password"),
        (["--index", "toy", "--auth", "alice:short"], 2, "5 characters"),
        (["--index", "toy", "--auth", "@/does/not/exist"], 2, "/does/not/exist"),
        (["--index", "toy", "--root-path", "gair/"], 2, "--root-path 'gair/'"),
        (["--index", "toy", "--max-upload-mb", "nan"], 2, "--max-upload-mb nan"),
        (["--index", "toy", "--max-waiting", "0"], 2, "--max-waiting 0"),
        (["--index", "toy", "--port", "0"], 2, "--port 0"),
        (["--index", "toy", "--tiles", TILES], 2, "--tiles-attribution"),
        (["--index", "toy", "--tiles-attribution", "me"], 2, "--tiles"),
        (
            ["--index", "toy", "--tiles", "file:///{z}{x}{y}", "--tiles-attribution", "me"],
            2,
            "file:",
        ),
    ],
)
def test_errors_are_one_line_and_set_the_exit_status(
    argv: list[str],
    status: int,
    message: str,
    tiny_index: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*argv, "--indexes", str(tiny_index)]) == status
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_folder_without_an_index_is_named_and_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GAIR_INDEXES", raising=False)
    assert main(["--port", str(free_port())]) == 1
    told = f"error: no index in '{tmp_path}/indexes': make one, for example with python -m indexer "
    assert capsys.readouterr().err.startswith(told)


def test_loopback_needs_no_permission() -> None:
    for host in ("127.0.0.1", "127.0.0.5", "localhost", "::1", "[::1]"):
        assert is_loopback(host)
        ServerOptions(host=host)
    for host in ("0.0.0.0", "::", "192.168.0.2", "example.org", ""):
        assert not is_loopback(host)
        with pytest.raises(UsageError):
            ServerOptions(host=host)
        ServerOptions(host=host, no_auth=True)
        ServerOptions(host=host, auth=Credentials("alice", "wonderland"))


def test_a_password_comes_from_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("alice:wonder:land\nmore\n")
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        Credentials.parse(f"@{file}")
    file.chmod(0o600)
    credentials = Credentials.parse(f"@{file}")
    assert credentials == Credentials("alice", "wonder:land")
    assert "wonder" not in repr(credentials)
    assert options_of("--auth", f"@{file}").auth == credentials
    assert options_of().auth is None


def test_a_password_matches_itself_only() -> None:
    wanted = Credentials("alice", "wonderland")

    def header(text: str, scheme: str = "Basic") -> str:
        return f"{scheme} {base64.b64encode(text.encode()).decode()}"

    assert wanted.match(header("alice:wonderland"))
    assert wanted.match(header("alice:wonderland", "basic"))
    assert not wanted.match(header("alice:wonderland", "Bearer"))
    for wrong in ("alice:wonderlan", "alice:wonderland ", "bob:wonderland", "", "alice", "é:ü"):
        assert not wanted.match(header(wrong))
    for wrong in ("", "Basic", "Basic ###", "Basic \xff"):
        assert not wanted.match(wrong)


def test_tiles_need_every_placeholder() -> None:
    assert options_of().tiles is None
    assert options_of("--tiles", TILES, "--tiles-attribution", "me").tiles == TileSource(
        TILES, "me"
    )
    with pytest.raises(UsageError, match="tile address"):
        TileSource("https://tiles.example.org/{z}/{x}.png", "me")


def start(
    indexes: Path,
    port: int,
    folder: Path,
    process: type[subprocess.Popen[str]] = subprocess.Popen,
    **more: str,
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "app", "--indexes", str(indexes), "--port", str(port)]
    env = {**os.environ, "TMPDIR": str(folder), **more}
    return process(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def read_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    while "ready at" not in said:
        line = process.stdout.readline()
        assert line, process.communicate()
        said += line
    return said


@pytest.mark.process
def test_it_says_what_it_serves_and_ends_cleanly(tiny_index: Path, tmp_path: Path) -> None:
    """After Ctrl-C and after a polite kill, and whatever proxies the environment names."""
    unusable = {"ALL_PROXY": "socks5h://127.0.0.1:9", "https_proxy": "nonsense://127.0.0.1:9"}
    ports = free_port(), free_port()
    signals = signal.SIGINT, signal.SIGTERM
    several = tmp_path / "indexes"
    shutil.copytree(tiny_index, several)
    shutil.copytree(tiny_index / "toy", several / "zoo")  # as new; the first by name is taken
    with (
        start(tiny_index, ports[0], tmp_path, WarmServer) as one,
        start(several, ports[1], tmp_path, **unusable) as two,
    ):
        for port, process, how in zip(ports, (one, two), signals, strict=True):
            said = read_until_ready(process)
            for text in ("index     toy (", "licence Apache", "untrained", "uncalibrated"):
                assert text in said
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
                assert b"toy" in page.read()
            newest = f"toy is the newest index of {several}; --index takes zoo, too\n"
            assert said.startswith(newest) is (process is two)
            process.send_signal(how)
            rest, errors = process.communicate(timeout=STOPPING_S)
            assert process.returncode == 0
            assert errors == ""
            assert "uploaded photos are deleted" in rest
    assert not list(tmp_path.glob("gair-uploads-*"))


def test_a_taken_port_is_found_before_anything_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--indexes", str(tmp_path), "--port", str(port)]) == 2
    assert capsys.readouterr().err.startswith(f"error: cannot serve at 127.0.0.1 port {port}")


def test_the_imagery_share_is_a_share() -> None:
    with pytest.raises(UsageError, match="`imagery_share` 1.5 must be from 0 to 1"):
        ServerOptions(imagery_share=1.5)
