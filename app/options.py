"""What can be chosen about the server, checked before anything heavy is loaded."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.examples import Sample
from gair.errors import UsageError


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
class ServerOptions:
    """Where the page is served, and to whom."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 7860
    """TCP port, 1 to 65535."""
    open_browser: bool = False
    """Open the page in the default browser once it is ready."""
    allow_remote: bool = False
    """Listen on an address that other machines reach, although there is no password."""
    tiles: TileSource | None = None
    """Background map; None draws the index's outline only and needs no network."""
    examples: tuple[Sample, ...] = ()
    """Photos that the page offers to try."""
    imagery_share: float | None = None
    """Weight of the imagery that the page starts with, 0 to 1; the location has the rest. None: as
    the index was calibrated, or half."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise UsageError(f"--port {self.port} is no TCP port; choose 1024 to 65535")
        if self.imagery_share is not None and not 0 <= self.imagery_share <= 1:
            raise UsageError(f"--imagery-share {self.imagery_share:g} must be from 0 to 1")
        if not self.allow_remote and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} lets other machines in, and the page has no password; "
                "add --allow-remote if that is what you want"
            )


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
