"""Small real builds, and what tests do to index folders."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gair.files import sha256_of
from gair.geo import Footprint
from gair.model import Gair
from indexer.build.build import BuildOptions, BuildReport, build_index
from indexer.build.frames import frame_shape_px
from indexer.imagery import FramePixels, ImagerySource, open_imagery
from indexer.index.index import Index
from indexer.regions.region import region_from_bbox

BOX_WSEN_DEG = (-0.1080, 51.5030, -0.1000, 51.5080)
"""Half a kilometre inside the made-up city: one frame, 23 cells of resolution 10."""


@functools.cache
def tiny_model() -> Gair:
    return Gair.untrained("tiny")


def frame_pixels(index: Index, imagery: ImagerySource, frame: int) -> FramePixels:
    """What a build read for one of its frames."""
    west, south, east, north = index.frames.bounds_wsen_m[frame].tolist()
    footprint = Footprint("EPSG:3857", (west, south, east, north))
    return imagery.read(footprint, frame_shape_px(footprint, imagery.resolution_m))


def build_box(
    imagery: ImagerySource | Path,
    out: Path,
    *,
    name: str = "box",
    bbox_wsen_deg: tuple[float, float, float, float] = BOX_WSEN_DEG,
    resolution: int = 10,
    model: Gair | None = None,
    model_source: str | None = None,
) -> BuildReport:
    """A build of a bounding box, by the tiny model unless another is given."""
    region = region_from_bbox(bbox_wsen_deg, name=name)
    options = BuildOptions(resolution=resolution, quiet=True)
    with contextlib.ExitStack() as stack:
        source: ImagerySource
        source = (
            stack.enter_context(open_imagery(imagery)) if isinstance(imagery, Path) else imagery
        )
        return build_index(
            name,
            region,
            source,
            model or tiny_model(),
            out,
            options=options,
            model_source=model_source,
        )


def serving_build(index_folder: Path) -> Path:
    """The folder of the build that serves."""
    current = json.loads((index_folder / "CURRENT").read_bytes())
    return index_folder / str(current["build"])


def rewrite_manifest(index_folder: Path, **changes: Any) -> None:
    """Change a manifest and make every hash agree again, as no accident would."""
    build = serving_build(index_folder)
    manifest = json.loads((build / "manifest.json").read_bytes())
    manifest.update(changes)
    manifest["files"] = {
        f.name: {"sha256": sha256_of(f), "size_bytes": f.stat().st_size}
        for f in build.iterdir()
        if f.name in manifest["files"]
    }
    (build / "manifest.json").write_text(json.dumps(manifest))
    point_to(build)


def grow_tokens(index_folder: Path, size_bytes: int = 1 << 30, *, sound: bool = True) -> Path:
    """Make the token maps of a build a large file, which takes no room on the disk; its path.

    NumPy reads no further than the maps; hashing all takes a second or two. Where it need not be
    ``sound``, the manifest has its size and another hash.
    """
    build = serving_build(index_folder)
    file = build / "tokens.npy"
    os.truncate(file, size_bytes)
    manifest = json.loads((build / "manifest.json").read_bytes())
    digest = sha256_of(file) if sound else "0" * 64
    manifest["files"][file.name] = {"sha256": digest, "size_bytes": size_bytes}
    (build / "manifest.json").write_text(json.dumps(manifest))
    point_to(build)
    return file


def point_to(build: Path) -> None:
    """Let a build serve whose manifest was changed."""
    pointer = {"build": build.name, "manifest_sha256": sha256_of(build / "manifest.json")}
    (build.parent / "CURRENT").write_text(json.dumps(pointer))


def flip_byte(file: Path, at: int | None = None, *, later_ns: int = 5_000_000_000) -> None:
    """Change one byte in place, in the middle unless told; the time of change is a later one."""
    facts = file.stat()
    with file.open("r+b") as handle:
        handle.seek(facts.st_size // 2 if at is None else at)
        byte = handle.read(1)[0]
        handle.seek(-1, os.SEEK_CUR)
        handle.write(bytes([byte ^ 1]))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + later_ns))


def snapshot(folder: Path) -> dict[str, str]:
    """Every file below a folder by its hash; the lock file aside."""
    return {
        str(f.relative_to(folder)): sha256_of(f)
        for f in sorted(folder.rglob("*"))
        if f.is_file() and f.name != ".lock"
    }


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[Path]:
    """A real file system of a few megabytes; skips where mounting one is not permitted."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not mount or not umount or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("needs root and mount(8) for a file system small enough to fill")
    folder.mkdir()
    command = [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting a small file system is not permitted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


def fill_disk(folder: Path, leave_bytes: int) -> Path:
    """Fill the file system of a folder, but for some bytes; delete the file to free them again."""
    filler = folder / "filler"
    count = shutil.disk_usage(folder).free - leave_bytes
    with filler.open("ab") as file:
        file.write(bytes(max(count, 0)))
    return filler
