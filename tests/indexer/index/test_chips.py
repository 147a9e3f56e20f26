"""Pictures of frames: the right place, way up and colours; none in older builds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_builds import rewrite_manifest, serving_build

from gair.errors import IndexCorruptError, StorageError
from gair.geo import Footprint
from indexer.imagery import open_imagery
from indexer.index.chips import (
    CHIPS_FILE,
    Chips,
    jpeg_of,
    true_colour,
    unzipped,
    write_chips,
    zipped,
)
from indexer.index.index import Index, open_index
from indexer.search.maps.ground_picture import chip_at


@pytest.fixture
def index(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


def test_the_picture_at_a_place_has_the_colours_of_the_imagery_there(
    index: Index, city_tif: Path
) -> None:
    compared = 0
    with open_imagery(city_tif) as imagery:
        for row in range(0, len(index.cells), 7):
            chip = chip_at(index, row)
            assert chip is not None
            assert chip.side_m == pytest.approx(640, rel=0.01)
            if max(abs(v - 0.5) for v in chip.place_xy) > 0.01:
                continue
            lon, lat = (float(v) for v in index.cells.lonlat_deg[row])
            square = Footprint.web_mercator_square((lon, lat), 640 / np.cos(np.radians(lat)))
            meant = true_colour(imagery.read(square, chip.rgb.size[::-1]).dn).astype(float)
            seen = np.asarray(chip.rgb, dtype=float)
            assert abs(seen - meant).mean() < 12
            assert abs(seen[::-1] - meant).mean() > 24  # upside down
            assert abs(seen[:, ::-1] - meant).mean() > 24
            compared += 1
    assert compared > 5


def test_a_place_near_the_edge_of_its_frame_is_off_the_middle_not_cut(index: Index) -> None:
    bounds = index.frames.bounds_wsen_m
    frame = bounds[bounds[:, 2:].sum(axis=1).argmax()]  # no other reaches as far north-east
    corner = Footprint("EPSG:3857", tuple(frame)).lonlat_deg([[0.96, -0.9]])[0]
    chip = chip_at(index, 0, (float(corner[0]), float(corner[1])))
    assert chip is not None
    assert abs(np.array(chip.rgb.size) - 64).max() <= 1
    x, y = chip.place_xy
    assert x > 0.9
    assert y < 0.2


def test_white_and_black_keep_their_place() -> None:
    dn = np.zeros((10, 1, 3), dtype=np.uint16)
    dn[2, 0, 0] = 9000  # B4 is red
    dn[0, 0, 1] = 1800  # B2 is blue
    picture = true_colour(dn)
    assert picture[0, 0].tolist() == [255, 0, 0]
    assert picture[0, 1, 0] == picture[0, 1, 1] == 0
    assert 128 < picture[0, 1, 2] < 170
    assert picture[0, 2].tolist() == [0, 0, 0]


def test_a_build_without_pictures_opens_and_says_none(tiny_index: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "toy")
    build = serving_build(tmp_path / "toy")
    (build / CHIPS_FILE).unlink()
    with pytest.raises(IndexCorruptError, match="chips.zip is missing"):
        open_index(tmp_path / "toy")
    rewrite_manifest(tmp_path / "toy")  # as a build before there were any
    older = open_index(tmp_path / "toy")
    assert older.chips is None
    assert chip_at(older, 0) is None


def test_pictures_come_in_parts_and_a_refusal_is_named(tmp_path: Path) -> None:
    one, two = (jpeg_of(np.full((10, 8, 8), dn, dtype=np.uint16)) for dn in (1000, 2000))
    for path, first in ((tmp_path / "a.zip", {4: one, 1: two}), (tmp_path / "b.zip", {1: two})):
        write_chips(path, [first, {1: one, 4: one}])  # of a frame in two parts the first counts
    assert unzipped(zipped({4: one, 1: two})) == {1: two, 4: one}
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert unzipped((tmp_path / "a.zip").read_bytes()) == {1: two, 4: one}
    with pytest.raises(StorageError, match="nowhere"):
        write_chips(tmp_path / "nowhere" / "c.zip", [])


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_reads_at_a_place_of_its_own(tmp_path: Path) -> None:
    """A file that was opened before is read at one place by all who share it."""
    write_chips(tmp_path / "chips.zip", [{0: b"a" * 9000, 1: b"b" * 9000}])
    chips = Chips(tmp_path / "chips.zip")
    parents = chips._zip.fp
    pid = os.fork()
    if pid == 0:
        own = chips._zip.fp is not parents and chips.jpeg(1) == b"b" * 9000
        os._exit(0 if own else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert chips.jpeg(0) == b"a" * 9000
