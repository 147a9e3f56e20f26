r"""What a server bears: the largest requests, silent connections, minutes of everything at once.

::

    python -m pytest tests/benchmarks/bench_operations.py -o "python_files=bench_*.py" -m "" -s \
        --timeout=0

``GAIR_BENCH_SOAK_S`` sets how long the soak lasts, 600 seconds unless given,
``GAIR_BENCH_SOAK_SVG`` where its curve is drawn, and ``GAIR_BENCH_SILENT`` how many silent
connections there are, 1,000. The figures stand in ``docs/app.md``.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from app_pages import RunningPage, running_page
from measuring import report
from photo_samples import encode
from PIL import Image
from toy_city import photo

from gair.photos.heif import can_read_heif

AT_ONCE = 24
MOST_MB = 1000.0
"""Above idle."""
SOAK_S = float(os.environ.get("GAIR_BENCH_SOAK_S", "600"))
SILENT = int(os.environ.get("GAIR_BENCH_SILENT", "1000"))
AUTH = ("alice", "wonderland")
FILE_BYTES = 20_000_000


@pytest.fixture
def page(tiny_index: Path, tmp_path: Path) -> Iterator[RunningPage]:
    with running_page(tiny_index, tmp_path, auth=":".join(AUTH)) as page:
        yield page


@pytest.fixture
def http(page: RunningPage) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=page.url, auth=AUTH, timeout=300) as client:
        yield client


def memory_mb(page: RunningPage, of: str = "VmRSS") -> float:
    lines = Path(f"/proc/{page.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(of))


def flat(kind: str, mode: str, side: int, **options: Any) -> bytes:
    return encode(Image.new(mode, (side, side)), kind, **options)


def padded(content: bytes) -> bytes:
    """The same photo in a file as large as one may be."""
    return content + bytes(FILE_BYTES - 100 - len(content))


def largest() -> dict[str, list[bytes]]:
    """For each format the most that one question may hold."""
    assert can_read_heif()
    strip = {278: 7070}  # TIFF's RowsPerStrip: all of them
    progressive = {"progressive": True, "subsampling": 0}
    return {
        "2 PNG of 100 megapixels, RGBA": [flat("PNG", "RGBA", 10_000, compress_level=1)] * 2,
        "8 PNG of 25 megapixels, 160 MB": [padded(flat("PNG", "RGB", 5_000, compress_level=1))] * 8,
        "2 JPEG of 100 megapixels": [flat("JPEG", "RGB", 10_000)] * 2,
        "2 progressive JPEG of 77 megapixels": [flat("JPEG", "RGB", 8_800, **progressive)] * 2,
        "5 WebP of 38 megapixels": [flat("WEBP", "RGB", 6_200, method=0)] * 5,
        "4 TIFF of 50 megapixels in one strip": [
            flat("TIFF", "RGB", 7_070, compression="tiff_deflate", tiffinfo=strip)
        ]
        * 4,
        "4 AVIF of 50 megapixels": [flat("AVIF", "RGB", 7_070, speed=10)] * 4,
        "4 HEIC of 50 megapixels": [flat("HEIF", "RGB", 7_070, quality=30)] * 4,
    }


def asked(http: httpx.Client, files: Sequence[bytes], mark: int = 0) -> int:
    """The status of a search for photos; number and mark make each another file."""
    marked = [content + bytes([number, mark]) for number, content in enumerate(files)]
    form = [("photo", (f"{number}", content)) for number, content in enumerate(marked)]
    return http.post("search", files=form).status_code


def test_the_largest_requests(page: RunningPage, http: httpx.Client) -> None:
    """One, and 24 of it at once, for every format."""
    asked(http, [encode(photo(), "JPEG")])
    idle, worst = memory_mb(page), 0.0
    report(f"largest requests (at most {MOST_MB:.0f} MB above idle)", f"idle: {idle:.0f} MB")
    limits = httpx.Limits(max_connections=AT_ONCE)
    for name, files in largest().items():
        for count in (1, AT_ONCE):
            Path(f"/proc/{page.pid}/clear_refs").write_text("5")  # the peak begins anew
            began = time.perf_counter()
            with (
                httpx.Client(base_url=page.url, auth=AUTH, timeout=300, limits=limits) as many,
                ThreadPoolExecutor(count) as pool,
            ):
                codes = list(pool.map(lambda n, f=files: asked(many, f, n), range(count)))
            above = memory_mb(page, "VmHWM") - idle
            worst = max(worst, above)
            told = ", ".join(f"{codes.count(code)} x {code}" for code in sorted(set(codes)))
            took = f"{time.perf_counter() - began:.1f} s"
            print(f"   {name}, {count} at once: {above:5.0f} MB above idle, {told}, {took}")
    assert worst < MOST_MB


def test_silent_connections(page: RunningPage, http: httpx.Client) -> None:
    """Whoever has the password gets in while so many connections say nothing, or very little."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, SILENT + 500), most))
    where = urlsplit(page.url)
    waited: list[float] = []
    with contextlib.ExitStack() as opened:
        for number in range(SILENT):
            address = where.hostname or "", where.port or 0
            source = (f"127.0.0.{2 + number % 10}", 0)
            silent = socket.create_connection(address, timeout=30, source_address=source)
            opened.enter_context(silent)
            if number % 2:
                silent.sendall(b"GET / HTTP/1.1\r\nHost:")
        for number in range(20):
            began = time.perf_counter()
            health = httpx.get(f"{page.url}health", auth=AUTH, timeout=30)
            assert health.json()["indexes"]
            waited.append(time.perf_counter() - began)
            assert asked(http, [encode(photo(seed=number), "JPEG")]) == 200
    report(
        f"{SILENT:,} silent connections of ten addresses",
        f"20 of 20 get in, after {1e3 * sorted(waited)[10]:.0f} ms in the median, "
        f"{1e3 * max(waited):.0f} ms at most",
    )


def test_soak(page: RunningPage, http: httpx.Client) -> None:
    """Every way to ask, again and again, each time by somebody new; memory by the minute."""
    config = http.get("config").json()
    number = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "gair-page")
    content = encode(photo(), "JPEG")
    done, errors, count = threading.Event(), list[str](), [0] * 4

    def ask_for_ever(client: int) -> None:
        with httpx.Client(base_url=page.url, auth=AUTH, timeout=120) as mine:
            while not done.is_set():
                try:
                    _everything(mine, number, content + os.urandom(8))
                except Exception as error:
                    errors.append(repr(error)[:200])
                count[client] += 1

    threads = [threading.Thread(target=ask_for_ever, args=(n,)) for n in range(len(count))]
    for thread in threads:
        thread.start()
    began, curve = time.monotonic(), list[tuple[float, float]]()
    while time.monotonic() - began < SOAK_S:
        time.sleep(min(30.0, SOAK_S / 20))
        curve.append(((time.monotonic() - began) / 60, memory_mb(page)))
    done.set()
    for thread in threads:
        thread.join()
    half = curve[len(curve) // 2 :]
    slope = (half[-1][1] - half[0][1]) / (half[-1][0] - half[0][0])
    report(
        f"soak: {sum(count):,} rounds of every way to ask in {SOAK_S / 60:.0f} minutes",
        *(f"{minute:5.1f} min {megabytes:6.0f} MB" for minute, megabytes in curve),
        f"second half: {slope:+.2f} MB a minute; {len(errors)} errors {errors[:3]}",
    )
    if "GAIR_BENCH_SOAK_SVG" in os.environ:
        Path(os.environ["GAIR_BENCH_SOAK_SVG"]).write_text(curve_svg(curve))
    assert errors == []


def curve_svg(curve: Sequence[tuple[float, float]]) -> str:
    """A small picture of megabytes by minutes, from nothing to a little above the most."""
    most_min, most_mb = curve[-1][0], 100 * math.ceil(max(mb for _, mb in curve) / 100 + 0.5)
    across, up = 500 / most_min, 130 / most_mb
    points = " ".join(f"{50 + across * x:.0f},{140 - up * y:.1f}" for x, y in curve)
    rules = "".join(
        f'<path d="M50 {140 - up * mb:.1f}H550" stroke="#8884"/>'
        f'<text x="44" y="{144 - up * mb:.1f}" text-anchor="end">{mb}</text>'
        for mb in range(0, most_mb + 1, 200)
    )
    minutes = "".join(
        f'<text x="{50 + across * x:.0f}" y="156" text-anchor="middle">{x}</text>'
        for x in range(0, round(most_min) + 1, 5)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 570 172" font-family="sans-serif" '
        f'font-size="11" fill="#777">{rules}{minutes}<text x="550" y="170" text-anchor="end">'
        'minutes</text><text x="54" y="12">MB</text><polyline fill="none" stroke="#2563eb" '
        f'stroke-width="2" points="{points}"/></svg>\n'
    )


def _everything(http: httpx.Client, page: int, content: bytes) -> None:
    """One round of a new visitor: the page, programs, the queue, uploads that are let go."""
    session = os.urandom(6).hex()

    def upload() -> dict[str, Any]:
        (path,) = http.post("gradio_api/upload", files={"files": ("a.jpg", content)}).json()
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    def ask(**question: Any) -> dict[str, Any]:
        call = {"component_id": page, "fn_name": "ask", "session_hash": session, "data": question}
        reply = http.post("gradio_api/component_server", json=call).json()
        assert "error" not in reply, reply
        return dict(reply)

    http.get("").raise_for_status()
    assert asked(http, [content]) == 200
    http.post("gradio_api/run/search", json={"data": [upload()]}).raise_for_status()
    call = http.post("gradio_api/call/search", json={"data": [upload()]}).json()
    events = http.get(f"gradio_api/call/search/{call['event_id']}").text
    assert "event: complete" in events, events
    photos = [upload()["path"]]
    common = {"index": "toy", "photos": photos}
    ask(do="locate", k=5, **common)
    ask(do="heat", layer="fused", **common)
    ask(do="verify", claim="51.5, -0.1", radius_m=300, **common)
    ask(do="forget", photos=photos)
    http.get("health").raise_for_status()
