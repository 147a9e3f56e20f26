"""A small Hugging Face hub on loopback: dataset and model repositories that its client writes to.

It speaks the routes that ``huggingface_hub`` calls: creating a repository, what it holds, which
files go through LFS, uploads, commits, and files of a revision, by ranges.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import huggingface_hub.constants
import pytest

LFS_FROM_BYTES = 1000


@dataclass
class Repository:
    """Files by path, for each commit in turn."""

    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{}])
    private: bool = False

    @property
    def sha(self) -> str:
        return f"{len(self.commits):040x}"

    def files(self, revision: str) -> dict[str, bytes] | None:
        if revision in ("main", self.sha):
            return self.commits[-1]
        number = int(revision, 16) if re.fullmatch("[0-9a-f]{40}", revision) else 0
        return self.commits[number - 1] if 0 < number <= len(self.commits) else None


@dataclass
class Hub:
    """What it holds, and what was asked."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    """By ``datasets/OWNER/NAME`` or ``models/OWNER/NAME``."""
    large: dict[str, bytes] = field(default_factory=dict)
    """Uploaded LFS objects by sha256."""
    uploads: list[str] = field(default_factory=list)
    """The sha256 of each upload."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Authorization of each request."""
    token: str | None = None
    """What it wants to see, if anything."""
    refused_uploads: int = 0
    """How many further uploads it takes for lost."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *args: object) -> None:
        self.hub = hub
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self.chunks()
        path = self.path.split("?")[0].strip("/")
        hub = self.hub
        hub.asked.append((self.command, path, self.headers.get("Authorization", "")))
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            if not path.startswith("lfs/"):
                return self.reply(
                    401, {"error": "who are you?"}, **{"X-Error-Code": "RepoNotFound"}
                )
        if path == "api/validate-yaml":
            return self.reply(200, {"errors": [], "warnings": []})
        if path == "api/repos/create":
            return self.create(json.loads(body))
        if path.startswith("lfs/"):
            return self.upload(path.removeprefix("lfs/"), body)
        if match := re.fullmatch(
            r"(?:(datasets)/)?([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path
        ):
            return self.batch(json.loads(body))
        if match := re.fullmatch(r"api/(datasets|models)/([\w.-]+/[\w.-]+)(?:/(.*))?", path):
            return self.api(f"{match[1]}/{match[2]}", match[3] or "", body)
        if match := re.fullmatch(r"(?:(datasets)/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path):
            return self.file(f"{match[1] or 'models'}/{match[2]}", match[3], match[4])
        return self.reply(404, {})

    def chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def create(self, wanted: dict[str, Any]) -> None:
        kind = f"{wanted.get('type') or 'model'}s"
        name = wanted["name"]
        if wanted.get("organization"):
            name = f"{wanted['organization']}/{name}"
        key = f"{kind}/{name}"
        if key in self.hub.repositories:
            return self.reply(409, {"error": "there is one", "url": f"{self.hub.url}/{key}"})
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        self.hub.repositories[key] = Repository(private=private)
        return self.reply(200, {"url": f"{self.hub.url}/{key.removeprefix('models/')}"})

    def api(self, key: str, rest: str, body: bytes) -> None:
        repository = self.hub.repositories.get(key)
        if repository is None:
            return self.reply(404, {}, **{"X-Error-Code": "RepoNotFound"})
        if rest.startswith("preupload/"):
            return self.preupload(json.loads(body))
        if rest.startswith("commit/"):
            return self.commit(key, repository, body)
        revision = rest.removeprefix("revision/") or "main"
        files = repository.files(revision)
        if files is None:
            return self.reply(404, {}, **{"X-Error-Code": "RevisionNotFound"})
        names = [{"rfilename": name} for name in sorted(files)]
        sha = repository.sha if revision == "main" else revision
        return self.reply(200, {"id": key.partition("/")[2], "sha": sha, "siblings": names})

    def preupload(self, wanted: dict[str, Any]) -> None:
        modes = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["size"] >= LFS_FROM_BYTES else "regular",
                "shouldIgnore": False,
            }
            for one in wanted["files"]
        ]
        self.reply(200, {"files": modes})

    def batch(self, wanted: dict[str, Any]) -> None:
        objects = []
        for one in wanted["objects"]:
            about: dict[str, Any] = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.large:
                about["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}
            objects.append(about)
        self.reply(200, {"transfer": "basic", "objects": objects})

    def upload(self, sha256: str, body: bytes) -> None:
        if self.hub.refused_uploads:
            self.hub.refused_uploads -= 1
            return self.reply(400, {"error": "lost"})
        assert hashlib.sha256(body).hexdigest() == sha256
        self.hub.large[sha256] = body
        self.hub.uploads.append(sha256)
        return self.reply(200, {})

    def commit(self, key: str, repository: Repository, body: bytes) -> None:
        files = dict(repository.commits[-1])
        for line in body.decode().splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif step["key"] == "deletedFile":
                del files[value["path"]]
        repository.commits.append(files)
        url = f"{self.hub.url}/{key}/commit/{repository.sha}"
        self.reply(200, {"commitUrl": url, "commitOid": repository.sha, "success": True})

    def file(self, key: str, revision: str, path: str) -> None:
        repository = self.hub.repositories.get(key)
        files = None if repository is None else repository.files(revision)
        if repository is None or files is None or path not in files:
            code = "RepoNotFound" if repository is None else "EntryNotFound"
            return self.reply(404, {}, **{"X-Error-Code": code})
        content = files[path]
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": repository.sha if revision == "main" else revision,
        }
        if wanted := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.send(206, content[start:], headers)
        return self.send(200, content, headers)

    def reply(self, status: int, answer: dict[str, Any], **headers: str) -> None:
        self.send(status, json.dumps(answer).encode(), headers)

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def hub_serving() -> Iterator[Hub]:
    """A hub until the block ends."""
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, hub))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def hub_asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that the hub's own client asks until the block ends; who pushes says ``secret``."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with hub_serving() as hub:
        hub.token = "secret"
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        files = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield hub
