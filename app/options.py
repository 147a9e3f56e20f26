"""What can be chosen about the server, checked before anything heavy is loaded."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import os
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from app.engine.limits import Limits
from app.examples import Sample
from gair.errors import UsageError

SHORTEST_PASSWORD = 8
"""Characters."""


@dataclass(frozen=True)
class TileSource:
    """Background map tiles, fetched by the browser of whoever looks at the page."""

    url: str
    """http(s) address with ``{z}``, ``{x}`` and ``{y}``."""
    attribution: str
    """Plain text that the map shows for them."""

    def __post_init__(self) -> None:
        missing = [name for name in ("{z}", "{x}", "{y}") if name not in self.url]
        if urlsplit(self.url).scheme not in ("http", "https") or missing:
            raise UsageError(
                f"--tiles {self.url!r} is no tile address; "
                "write it like https://tiles.example.org/{z}/{x}/{y}.png"
            )
        if not self.attribution.strip():
            raise UsageError("--tiles needs --tiles-attribution, the credit the tiles ask for")

    @classmethod
    def from_flags(cls, url: str | None, attribution: str | None) -> TileSource | None:
        """The source that two flags describe; None without tiles.

        Raises:
            UsageError: Only one of the two is given, or the URL is no tile address.
        """
        if url is None:
            if attribution is not None:
                raise UsageError("--tiles-attribution is of no use without --tiles")
            return None
        return cls(url, attribution or "")


@dataclass(frozen=True)
class Credentials:
    """The one name and password that open everything the server has, by HTTP Basic.

    They are never printed.
    """

    user: str
    password: str = field(repr=False)

    @classmethod
    def from_flag(cls, text: str | None) -> Credentials | None:
        """What ``--auth`` says: ``user:password``, or ``@FILE`` with that in its first line.

        Raises:
            UsageError: it is neither, or others may read the file.
        """
        if text is None:
            return None
        if text.startswith("@"):
            text = _first_line(Path(text[1:]))
        user, colon, password = text.partition(":")
        if not (user and colon and password):
            raise UsageError("--auth must be user:password, or @FILE with that in its first line")
        if len(password) < SHORTEST_PASSWORD:
            raise UsageError(
                f"the password of --auth has {len(password)} characters; "
                f"take {SHORTEST_PASSWORD} or more"
            )
        return cls(user, password)

    def match(self, header: str) -> bool:
        """Whether the value of an ``Authorization`` header is right, in constant time."""
        scheme, _, encoded = header.partition(" ")
        try:
            found = base64.b64decode(encoded.strip(), validate=True)
        except ValueError:
            return False
        expected = f"{self.user}:{self.password}".encode()
        return hmac.compare_digest(found, expected) and scheme.lower() == "basic"


@dataclass(frozen=True)
class ServerOptions:
    """Where the page is served, to whom, and how much of it."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 7860
    """TCP port, 1 to 65535."""
    open_browser: bool = False
    """Open the page in the default browser once it is ready."""
    auth: Credentials | None = None
    """Who may ask; None for everybody who can reach the address."""
    no_auth: bool = False
    """Listen on an address that other machines reach, although there is no password."""
    root_path: str = ""
    """Path that a reverse proxy serves the page under, like ``/gair``; empty for none."""
    public_hosts: tuple[str, ...] = ()
    """Further names that a browser may know this server by, as behind a reverse proxy."""
    tiles: TileSource | None = None
    """Background map; None draws the index's outline only and needs no network."""
    examples: tuple[Sample, ...] = ()
    """Photos that the page offers to try."""
    imagery_share: float | None = None
    """Weight of the imagery that the page starts with, 0 to 1; the location has the rest. None: as
    the index was calibrated, or half."""
    mcp: bool = False
    """Answer programs that speak the Model Context Protocol, at ``/mcp``."""
    limits: Limits = Limits()
    """How much the server takes on."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise UsageError(f"--port {self.port} is no TCP port; choose 1024 to 65535")
        if self.imagery_share is not None and not 0 <= self.imagery_share <= 1:
            raise UsageError(f"--imagery-share {self.imagery_share:g} must be from 0 to 1")
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", self.root_path):
            raise UsageError(
                f"--root-path {self.root_path!r} must start with / and end without, like /gair"
            )
        if self.auth is None and not self.no_auth and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} lets other machines in: set a password with --auth "
                "user:password, or add --no-auth-i-know if everybody may ask"
            )


def _first_line(file: Path) -> str:
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise UsageError(f"others may read {file}, which holds a password: chmod 600 {file}")
        return (file.read_text(encoding="utf-8").splitlines() or [""])[0]
    except (OSError, ValueError) as error:
        raise UsageError(f"--auth: cannot read {file}: name a text file you may read") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def check_free(host: str, port: int) -> None:
    """Make sure that a server could listen, before minutes are spent on loading what it serves.

    Raises:
        UsageError: The port is taken, or the host is none of this machine's.
    """
    name = host.strip("[]")
    try:
        family = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((name, port), family=family).close()
    except OSError as error:
        raise UsageError(
            f"cannot serve at {host} port {port} ({error.strerror}); "
            "choose another --port or --host"
        ) from error
