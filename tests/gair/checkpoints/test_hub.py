"""Models of the Hugging Face hub, against a small hub on loopback that speaks its protocol."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import REPOSITORY
from warm_processes import warm_run

from gair.model import Gair

pytestmark = pytest.mark.process

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves the folders under a root as models ``acme/NAME``."""

    def __init__(self, root: Path, *args: object) -> None:
        self.root = root
        super().__init__(*args)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0].strip("/").split("/")
        folder = self.root / (path[3] if path[:2] == ["api", "models"] else path[1])
        if not folder.is_dir():
            self.reply(404, b"{}", body, {"X-Error-Code": "RepoNotFound"})
        elif path[:2] == ["api", "models"]:
            names = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
            listing = {"id": f"acme/{folder.name}", "sha": COMMIT, "siblings": names}
            self.reply(200, json.dumps(listing).encode(), body, {})
        elif (folder / path[-1]).is_file():
            content = (folder / path[-1]).read_bytes()
            etag = hashlib.sha256(content).hexdigest()
            self.reply(200, content, body, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
        else:
            self.reply(404, b"{}", body, {"X-Error-Code": "EntryNotFound"})

    def reply(self, status: int, content: bytes, body: bool, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    folder = Gair.untrained("tiny", seed=8).save_pretrained(root / "tiny")
    (folder / "training.json").write_text('{"location_weight": 0.3}')
    (root / "empty").mkdir()
    (root / "empty" / "README.md").write_text("nothing here")
    return root


@pytest.fixture
def endpoint(models: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Hub, models))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def convert(hub_id: str, out: Path, endpoint: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """``python -m gair convert`` in a process that knows only this hub."""
    unset = ("HF_HUB_OFFLINE", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    return warm_run(
        [sys.executable, "-m", "gair", "convert", hub_id, str(out)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_a_model_comes_from_the_hub_and_stays_without_it(endpoint: str, tmp_path: Path) -> None:
    cache, wanted = tmp_path / "cache", Gair.untrained("tiny", seed=8).fingerprint()
    first = convert("acme/tiny", tmp_path / "a", endpoint, cache)
    assert first.returncode == 0, first.stderr
    assert Gair.from_pretrained(tmp_path / "a").fingerprint() == wanted
    again = convert("acme/tiny", tmp_path / "b", "http://127.0.0.1:9", cache)  # nobody answers
    assert again.returncode == 0, again.stderr
    assert Gair.from_pretrained(tmp_path / "b").fingerprint() == wanted
    for name in ("a", "b"):
        assert Gair.from_pretrained(tmp_path / name).info.location_weight == 0.3


@pytest.mark.parametrize(
    ("hub_id", "says"),
    [
        ("acme/absent", "no such model, or it is private"),
        ("acme/empty", "holds no GAIR model: expected config.json with model.safetensors"),
    ],
)
def test_what_the_hub_lacks_is_one_line(
    endpoint: str, tmp_path: Path, hub_id: str, says: str
) -> None:
    done = convert(hub_id, tmp_path / "out", endpoint, tmp_path / "cache")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_hub_out_of_reach_is_said_at_once(tmp_path: Path) -> None:
    done = convert("acme/tiny", tmp_path / "out", "http://127.0.0.1:9", tmp_path / "cache")
    assert done.returncode == 1
    assert "out of reach, and nothing was downloaded before" in done.stderr
    assert done.stderr.count("\n") == 1
