"""HTTP client as all of the project uses it, and patience with servers.

Proxies of the environment are used, but never for this machine itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gair.errors import UsageError

if TYPE_CHECKING:
    import httpx

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Patience:
    """How long a server is borne with before it is given up."""

    tries: int = 4
    """Times a request is made before it counts as failed."""
    first_pause_s: float = 1.0
    """Before the second try; each further pause is twice as long."""
    silence_s: float = 20.0
    """A server that sends nothing for so long has not answered."""
    # Not in the repr: answers of catalogues are kept under a name made from it.
    answer_s: float = field(default=120.0, repr=False)
    """Nor has one whose answer is not complete by then."""
    longest_pause_s: float = field(default=900.0, repr=False)
    """A server that asks for a longer pause than this is taken at its word: the work stops."""

    def pauses_s(self) -> Iterator[float]:
        """The pauses between tries."""
        return (self.first_pause_s * 2**n for n in range(self.tries - 1))


def http_client(user_agent: str, silence_s: float, *, connections: int = 16) -> httpx.Client:
    """A client that follows redirects; close it, or use it in a ``with`` block.

    Args:
        user_agent: what it calls itself.
        silence_s: how long a server may send nothing.
        connections: open at a time, at most.

    Raises:
        UsageError: the environment names a proxy that cannot be used.
    """
    import httpx  # takes a tenth of a second: only when somebody asks a server

    try:
        return httpx.Client(
            headers={"User-Agent": user_agent},
            timeout=httpx.Timeout(silence_s),
            limits=httpx.Limits(max_connections=connections),
            follow_redirects=True,
            mounts={f"all://{host}": None for host in _LOOPBACK},
        )
    except ImportError as error:  # SOCKS without its package
        raise UsageError(
            "the proxy that the environment names is a SOCKS one, which needs the extra socks: "
            "pip install 'gair-geolocator[socks]', or give an http:// one in HTTPS_PROXY"
        ) from error
    except ValueError as error:  # no such scheme
        reason = " ".join(str(error).split())
        raise UsageError(
            f"the proxy that the environment names cannot be used ({reason}): give an http:// one "
            "in HTTPS_PROXY and HTTP_PROXY, or none"
        ) from error
