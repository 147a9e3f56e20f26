"""Map tiles of an index's picture over HTTP: pixels where they belong, and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
from app_pages import RunningPage
from PIL import Image

from indexer.index.index import Index, open_index

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def index(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


def test_a_tile_is_a_webp_that_a_browser_may_keep(server: RunningPage, index: Index) -> None:
    picture = index.pictures[0]
    z, x, y = picture.grid.zoom, picture.grid.left_px // 256, picture.grid.top_px // 256
    address = f"{server.url}picture/toy/{index.manifest.build}/0/{z}/{x}/{y}.webp"
    response = httpx.get(address, timeout=60)
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["cache-control"] == "private, max-age=604800, immutable"
    assert response.headers["x-content-type-options"] == "nosniff"
    seen = np.asarray(Image.open(io.BytesIO(response.content)).convert("RGBA")).astype(int)
    meant = picture.tile(z, x, y)
    assert meant is not None
    np.testing.assert_array_equal(seen[..., 3] > 127, meant[..., 3] > 127)
    shown = meant[..., 3] > 0
    assert abs(seen - meant)[shown][:, :3].mean() < 12
    head = httpx.head(address, timeout=60)
    assert (head.status_code, head.content) == (200, b"")
    nothing = httpx.get(address.replace(f"/{x}/", f"/{x - 9}/"), timeout=60)
    assert nothing.status_code == 200
    assert not np.asarray(Image.open(io.BytesIO(nothing.content)).convert("RGBA"))[..., 3].any()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere/{build}/0/1/0/0", "no index"),
        ("toy/20200101T000000Z-0000/0/1/0/0", "of another build now"),
        ("toy/{build}/1/1/0/0", "has 1 pictures"),
        ("toy/{build}/0/14/0/0", "there is no tile 14/0/0, up to 13"),
        ("toy/{build}/0/3/8/0", "there is no tile 3/8/0"),
        ("toy/{build}/0/1/0/-1", "there is nothing here"),
        ("..%2Ftoy/{build}/0/1/0/0", "there is nothing here"),
        ("toy/{build}/0/1/0/x", "there is nothing here"),
    ],
)
def test_what_is_not_there_is_404_in_one_line(
    server: RunningPage, index: Index, path: str, words: str
) -> None:
    path = path.format(build=index.manifest.build)
    response = httpx.get(f"{server.url}picture/{path}.webp", timeout=60)
    assert response.status_code == 404
    assert words in response.json()["error"]


def test_it_takes_no_post(server: RunningPage, index: Index) -> None:
    address = f"{server.url}picture/toy/{index.manifest.build}/0/1/0/0.webp"
    assert httpx.post(address).status_code == 405
