"""Route of the map's picture: ``GET /picture/INDEX/BUILD/NUMBER/ZOOM/X/Y.webp`` is a map tile.

The build is in the address, so what a browser keeps never goes stale. Tiles are cut from the
picture that the index keeps (:mod:`indexer.index.picture`), and made by a few threads of their own,
so that a map that is moved does not keep questions waiting.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from fastapi import APIRouter
from fastapi.responses import Response
from PIL import Image
from starlette.exceptions import HTTPException

from indexer.index.picture.grid import TILE_PX

if TYPE_CHECKING:
    from app.engine.engine import Engine

THREADS = 2
"""Tiles that are made at the same time."""
_QUALITY = 82
_KEPT = {"cache-control": "private, max-age=604800, immutable"}


def pictures_router(engine: Engine) -> APIRouter:
    """The route.

    Args:
        engine: what knows the indexes.
    """
    router = APIRouter(include_in_schema=False)
    threads = anyio.CapacityLimiter(THREADS)

    @router.api_route(
        "/picture/{index}/{build}/{number}/{zoom}/{x}/{y}.webp", methods=["GET", "HEAD"]
    )
    async def tile(index: str, build: str, number: int, zoom: int, x: int, y: int) -> Response:
        make = functools.partial(tile_webp, engine, index, build, number, zoom, x, y)
        content = await anyio.to_thread.run_sync(make, limiter=threads)
        return Response(content, media_type="image/webp", headers=_KEPT)

    return router


def tile_webp(
    engine: Engine, index: str, build: str, number: int, zoom: int, x: int, y: int
) -> bytes:
    """A tile of a picture, transparent where that shows nothing.

    Args:
        engine: what knows the indexes.
        index: its name.
        build: its build.
        number: which picture of it, from 0.
        zoom: of the tile, at most that of the picture.
        x: its column from the west.
        y: its row from the north.

    Raises:
        HTTPException: there is no such build, picture or tile.
        IndexNotFoundError: there is no such index.
        IndexCorruptError: the picture cannot be read.
    """
    opened = engine.indexes.get(index).index
    if opened.manifest.build != build:
        raise HTTPException(404, f"index {index!r} is of another build now; load the page again")
    if not 0 <= number < len(opened.pictures):
        raise HTTPException(404, f"index {index!r} has {len(opened.pictures)} pictures, from 0")
    picture = opened.pictures[number]
    if not (0 <= zoom <= picture.grid.zoom and max(x, y) < 1 << zoom and min(x, y) >= 0):
        raise HTTPException(404, f"there is no tile {zoom}/{x}/{y}, up to {picture.grid.zoom}")
    pixels = picture.tile(zoom, x, y)
    return _nothing() if pixels is None else _webp(Image.fromarray(pixels))


def _webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()


@functools.cache
def _nothing() -> bytes:
    return _webp(Image.new("RGBA", (TILE_PX, TILE_PX)))
