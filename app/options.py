"""Options of the server, checked before anything heavy is loaded."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import os
import re
import socket
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from app.engine.limits import Limits
from app.examples import Sample
from gair.errors import UsageError
from gair.fields import option
from gair.files import read_file

SHORTEST_PASSWORD = 8
"""Characters."""
WHAT = "what to search"
WHERE = "where to serve, and to whom"
"""Groups of flags in the help."""


@dataclass(frozen=True)
class Credentials:
    """The one name and password that open everything the server has, by HTTP Basic.

    They are never printed.
    """

    user: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """Name and password of ``user:password``, or of ``@FILE`` with that in its first line.

        Raises:
            UsageError: it is neither, or others may read the file.
        """
        if text.startswith("@"):
            text = _first_line(Path(text[1:]))
        user, colon, password = text.partition(":")
        if not (user and colon and password):
            raise UsageError("`auth` must be user:password, or @FILE with that in its first line")
        if len(password) < SHORTEST_PASSWORD:
            raise UsageError(
                f"the password of `auth` has {len(password)} characters; "
                f"take {SHORTEST_PASSWORD} or more"
            )
        return cls(user, password)

    def match(self, header: str) -> bool:
        """Whether the value of an ``Authorization`` header is right."""
        scheme, _, encoded = header.partition(" ")
        try:
            sent = base64.b64decode(encoded.strip(), validate=True)
        except ValueError:
            return False
        expected = f"{self.user}:{self.password}".encode()
        # In constant time: how long it takes tells nothing of the password.
        return hmac.compare_digest(sent, expected) and scheme.lower() == "basic"


@dataclass(frozen=True)
class TileSource:
    """Background map tiles, fetched by the browser of whoever looks at the page."""

    url: str = option("", flags="--tiles", metavar="URL")
    """Tiles: an http(s) address with {z}, {x} and {y}."""
    attribution: str = option("", flags="--tiles-attribution")
    """Credit the tiles ask for, plain text that the map shows; needed with `url`."""

    def __post_init__(self) -> None:
        if not self.url:
            raise UsageError("`attribution` is of no use without `url`")
        missing = [name for name in ("{z}", "{x}", "{y}") if name not in self.url]
        if urlsplit(self.url).scheme not in ("http", "https") or missing:
            raise UsageError(
                f"`url` {self.url!r} is no tile address; "
                "write it like https://tiles.example.org/{z}/{x}/{y}.png"
            )
        if not self.attribution.strip():
            raise UsageError("`url` needs `attribution`, the credit the tiles ask for")


@dataclass(frozen=True)
class ServerOptions:
    """Where the page is served, to whom, and how much of it."""

    host: str = option("127.0.0.1", metavar="HOST", group=WHERE)
    """Address to listen on."""
    port: int = option(7860, metavar="PORT", group=WHERE)
    """TCP port to listen on."""
    open_browser: bool = option(False, flags="--open", group=WHERE)
    """Open the page in a browser once it is ready."""
    auth: Credentials | None = option(
        None, parse=Credentials.parse, metavar="USER:PASSWORD", group=WHERE
    )
    """Ask everybody for this name and password; @FILE reads them from a file's first line, where
    other users of this machine do not see them."""
    no_auth: bool = option(False, flags="--no-auth-i-know", group=WHERE)
    """Serve at a `host` that other machines reach although there is no password."""
    root_path: str = option("", metavar="PATH", group=WHERE)
    """Path that a reverse proxy serves this under, and strips, like /gair."""
    public_hosts: tuple[str, ...] = option((), flags="--public-host", metavar="NAME", group=WHERE)
    """Name that browsers know this server by, as behind a reverse proxy; at a loopback address,
    requests under other names are refused; may be given again."""
    mcp: bool = option(False, group=WHERE)
    """Let language models ask at /mcp (Model Context Protocol); photos come as base64, never as
    addresses."""
    imagery_share: float | None = option(None, group=WHAT)
    """Weight of the imagery that the page starts with, 0 to 1, the location embedding has the rest;
    1 for a region the model was not trained in (default: as the index was calibrated, else as the
    model's card says, else 1)."""
    limits: Limits = option(Limits(), group="limits; what is beyond them is refused, in words")
    """How much the server takes on."""
    tiles: TileSource | None = None
    """Background map; None draws the index's outline only and needs no network."""
    examples: tuple[Sample, ...] = option((), flags=None)
    """Photos that the page offers to try."""
    examples_note: str = option("", metavar="TEXT", group=WHAT)
    """A sentence to show beside the examples, such as how often answers about them are right."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise UsageError(f"`port` {self.port} is no TCP port; choose 1024 to 65535")
        if self.imagery_share is not None and not 0 <= self.imagery_share <= 1:
            raise UsageError(f"`imagery_share` {self.imagery_share:g} must be from 0 to 1")
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", self.root_path):
            raise UsageError(
                f"`root_path` {self.root_path!r} must start with / and end without, like /gair"
            )
        if self.auth is None and not self.no_auth and not is_loopback(self.host):
            raise UsageError(
                f"`host` {self.host} lets other machines in: set a password with `auth` "
                "user:password, or add `no_auth` if everybody may ask"
            )


def tiles_of(tiles: TileSource | None) -> dict[str, str] | None:
    """Background tiles, the credit escaped because Leaflet reads it as HTML."""
    if tiles is None:
        return None
    return {"url": tiles.url, "attribution": escape(tiles.attribution)}


def _first_line(file: Path) -> str:
    try:
        if os.name == "posix" and file.stat().st_mode & 0o077:
            raise UsageError(f"others may read {file}, which holds a password: chmod 600 {file}")
        return (read_file(file, most_bytes=1 << 16).decode().splitlines() or [""])[0]
    except (OSError, ValueError) as error:
        raise UsageError(f"`auth`: cannot read {file}: name a text file you may read") from error


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
    name = host.strip("[]")  # of an IPv6 address
    try:
        family = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((name, port), family=family).close()
    except OSError as error:
        raise UsageError(
            f"cannot serve at {host} port {port} ({error.strerror}); "
            "choose another `port` or `host`"
        ) from error
