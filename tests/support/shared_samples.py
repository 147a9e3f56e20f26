"""Small real indexes to share: with calibration and reference photos, and a later build of one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hand_calibration import calibrate_by_hand
from reference_samples import give_references, reference_photos
from small_builds import BOX_WSEN_DEG, build_box, serving_build

from indexer.index.index import open_index
from indexer.index.storage import UNPUBLISHED


def write_shared(city_tif: Path, out: Path) -> None:
    """``out/first/box`` and ``out/second/box``, a later build of it over more ground."""
    west, south, east, north = BOX_WSEN_DEG
    build_box(city_tif, out / "first")
    calibrate_by_hand(out / "first" / "box")
    give_photos(out / "first" / "box")
    shutil.copytree(out / "first", out / "second", copy_function=os.link)
    old = serving_build(out / "second" / "box")
    build_box(city_tif, out / "second", bbox_wsen_deg=(west, south, east + 0.004, north))
    shutil.rmtree(old)
    (out / "second" / "box" / f"calibration-{old.name}.npz").unlink()


def give_photos(box: Path, count: int = 12, private: int = 0) -> None:
    """Give an index reference photos."""
    west, south, east, north = BOX_WSEN_DEG
    places = np.random.default_rng(1).uniform((west, south), (east, north), (count, 2))
    s = np.random.default_rng(2).normal(size=(count, open_index(box).rs.dim)).astype(np.float32)
    photos = reference_photos(
        places,
        licence=["CC BY-SA 4.0"] * count,
        private=[n < private for n in range(count)],
    )
    give_references(box, photos, s / np.linalg.norm(s, axis=1, keepdims=True))


def serving(index_folder: Path) -> str | None:
    """The build that serves, which opens; None where there is none."""
    if not (index_folder / "CURRENT").exists():
        return None
    open_index(index_folder)
    return str(json.loads((index_folder / "CURRENT").read_bytes())["build"])


def content(index_folder: Path) -> dict[str, bytes]:
    """What an index is made of: pointers, the serving build, its calibration and photos."""
    build = serving_build(index_folder)
    pointers = [index_folder / name for name in ("CURRENT", "GROUND")]
    # Where a pull was killed one step after the pointer changed, a mark stays until the next build.
    parts = [file for file in build.iterdir() if file.name != UNPUBLISHED]
    files = [*pointers, *parts, index_folder / f"calibration-{build.name}.npz"]
    if pointers[1].exists():
        photos = json.loads(pointers[1].read_bytes())["build"]
        files += (index_folder / photos).iterdir()
    return {str(f.relative_to(index_folder)): f.read_bytes() for f in files if f.exists()}


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do some work in a child that dies without a last word where it would change one name more.

    Returns:
        Whether it came to its end before that.
    """
    child = os.fork()
    if not child:
        left = step

        def counted(do: Callable[..., object]) -> Callable[..., object]:
            def or_die(*args: object, **kwargs: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(9)
                return do(*args, **kwargs)

            return or_die

        for name in ("rename", "replace", "link", "unlink", "rmdir", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9), code
    return code == 0
