"""Broken photos: the decoders' own lines stay off standard error."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from photo_samples import encode
from PIL import Image
from repository import REPOSITORY

from gair.errors import PhotoError
from gair.photos.photo import open_photo


def test_nothing_but_our_error_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    refused = 0
    for compression in ("jpeg", "tiff_lzw", "tiff_adobe_deflate", "raw"):
        whole = encode(image, "TIFF", compression=compression)
        for _ in range(30):
            broken = bytearray(whole)
            for at in rng.integers(8, len(broken), 3):
                broken[at] = rng.integers(0, 256)
            try:
                open_photo(bytes(broken))
            except PhotoError:
                refused += 1
    assert refused > 20
    assert capfd.readouterr().err == ""


@pytest.mark.process
def test_without_it_libtiff_speaks() -> None:
    """What the other test looks for is there to be seen."""
    lines = [
        "import io, contextlib, numpy as np",
        "from PIL import Image",
        "rng, out = np.random.default_rng(0), io.BytesIO()",
        "image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))",
        "image.save(out, 'TIFF', compression='tiff_adobe_deflate')",
        "content = bytearray(out.getvalue())",
        "content[200:300] = bytes(100)",
        "with contextlib.suppress(Exception):",
        "    Image.open(io.BytesIO(bytes(content))).load()",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=REPOSITORY,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ZIPDecode" in done.stderr
