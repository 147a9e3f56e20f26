"""Pictures of frames, which older indexes have: shown, and painted into one by a merge."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_builds import frame_pixels, rewrite_manifest, serving_build

from gair.errors import IndexCorruptError
from gair.files import sha256_of
from gair.geo import Footprint
from indexer.imagery import open_imagery
from indexer.index.chips import CHIPS_FILE, Chips
from indexer.index.index import open_index
from indexer.index.picture.cog import PICTURE_FILE
from indexer.merge.merge import merge_indexes
from indexer.search.maps.ground_picture import chip_at, frame_picture


def write_chips(path: Path, jpegs: dict[int, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for frame, jpeg in jpegs.items():
            file.writestr(f"{frame}.jpg", jpeg)


@pytest.fixture
def older(tiny_index: Path, city_tif: Path, tmp_path: Path) -> Path:
    """The index ``toy`` as it was built when every frame had a picture of its own."""
    folder = tmp_path / "toy"
    shutil.copytree(tiny_index / "toy", folder)
    index, jpegs = open_index(folder), {}
    with open_imagery(city_tif) as imagery:
        for frame in range(len(index.frames.bounds_wsen_m)):
            dn = frame_pixels(index, imagery, frame).dn[[2, 1, 0]]
            rgb = (255 * np.clip(dn / 3600, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
            buffer = io.BytesIO()
            Image.fromarray(rgb).save(buffer, "JPEG", quality=88)
            jpegs[frame] = buffer.getvalue()
    build = serving_build(folder)
    write_chips(build / CHIPS_FILE, jpegs)
    (build / PICTURE_FILE).unlink()
    rewrite_manifest(folder, pictures=[], schema_version=4)
    add_record(folder)
    return folder


def add_record(folder: Path) -> None:
    """Let the manifest vouch for the chips."""
    file = serving_build(folder) / CHIPS_FILE
    manifest = json.loads((file.parent / "manifest.json").read_bytes())
    record = {"sha256": sha256_of(file), "size_bytes": file.stat().st_size}
    files = {**manifest["files"], CHIPS_FILE: record}
    (file.parent / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
    rewrite_manifest(folder)


def test_an_older_index_shows_its_frames(older: Path) -> None:
    index = open_index(older)
    assert index.pictures == ()
    chip = chip_at(index, 0)
    assert chip is not None
    assert chip.side_m == pytest.approx(640, rel=0.01)
    bounds = index.frames.bounds_wsen_m
    frame = bounds[bounds[:, 2:].sum(axis=1).argmax()]  # no other reaches as far north-east
    corner = Footprint("EPSG:3857", tuple(frame)).lonlat_deg([[0.96, -0.9]])[0]
    chip = chip_at(index, 0, (float(corner[0]), float(corner[1])))
    assert chip is not None
    assert abs(np.array(chip.rgb.size) - 64).max() <= 1
    x, y = chip.place_xy
    assert x > 0.9
    assert y < 0.2
    assert frame_picture(index, 3) is not None


def test_a_merge_paints_them_into_one_picture(older: Path, tmp_path: Path) -> None:
    before = open_index(older)
    merge_indexes([older], "new", tmp_path, quiet=True)
    after = open_index(tmp_path / "new")
    assert after.chips is None
    assert CHIPS_FILE not in after.manifest.files
    (picture,) = after.pictures
    assert picture.entry["stretch"] is None
    for row in range(0, len(after.cells), 20):
        seen, meant = chip_at(after, row), chip_at(before, row)
        assert seen is not None
        assert meant is not None
        if max(abs(v - 0.5) for v in (*seen.place_xy, *meant.place_xy)) < 0.02:
            small = [np.asarray(c.rgb.resize((24, 24)), dtype=float) for c in (seen, meant)]
            assert abs(small[0] - small[1]).mean() < 12
            assert abs(small[0][::-1] - small[1]).mean() > 24  # upside down


def test_a_build_without_pictures_opens_and_says_none(older: Path) -> None:
    build = serving_build(older)
    (build / CHIPS_FILE).unlink()
    with pytest.raises(IndexCorruptError, match="chips.zip is missing"):
        open_index(older)
    rewrite_manifest(older)  # as a build before there were any
    index = open_index(older)
    assert index.chips is None
    assert chip_at(index, 0) is None
    assert frame_picture(index, 0) is None


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_reads_at_a_place_of_its_own(tmp_path: Path) -> None:
    """A file that was opened before is read at one place by all who share it."""
    write_chips(tmp_path / "chips.zip", {0: b"a" * 9000, 1: b"b" * 9000})
    chips = Chips(tmp_path / "chips.zip")
    parents = chips._zip.fp
    pid = os.fork()
    if pid == 0:
        own = chips._zip.fp is not parents and chips.jpeg(1) == b"b" * 9000
        os._exit(0 if own else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert chips.jpeg(0) == b"a" * 9000
