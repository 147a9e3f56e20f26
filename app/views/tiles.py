"""Tile source of the background map, checked before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from gair.errors import UsageError
from gair.fields import option


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


def tiles_of(tiles: TileSource | None) -> dict[str, str] | None:
    """Background tiles, the credit escaped because Leaflet reads it as HTML."""
    if tiles is None:
        return None
    return {"url": tiles.url, "attribution": escape(tiles.attribution)}
