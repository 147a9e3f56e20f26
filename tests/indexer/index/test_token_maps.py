"""Token maps of a build: what the encoder gave, in half precision, and only if they are wanted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from frame_vectors import embed_frames
from small_builds import (
    BOX_WSEN_DEG,
    build_box,
    fill_disk,
    frame_pixels,
    rewrite_manifest,
    serving_build,
    small_disk,
    tiny_model,
)

from gair.errors import IndexCorruptError, ModelError, StorageError
from gair.files import sha256_of
from gair.geo import Footprint
from gair.preprocess import remote_sensing_pixels
from indexer.build.build import BuildOptions, build_index
from indexer.build.frames import FramePlan
from indexer.imagery import open_imagery
from indexer.index.index import Index, open_index
from indexer.index.token_maps import TokenMaps, TokenWriter, half_maps
from indexer.regions.region import region_from_bbox


@pytest.fixture(scope="module")
def toy(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


def frame_footprint(index: Index, frame: int) -> Footprint:
    west, south, east, north = (float(v) for v in index.frames.bounds_wsen_m[frame])
    return Footprint("EPSG:3857", (west, south, east, north))


def test_a_build_keeps_what_the_encoder_gave(toy: Index, city_tif: Path) -> None:
    tokens = toy.tokens
    assert tokens is not None
    assert (tokens.count, tokens.grid_hw, tokens.dim) == (16, (12, 12), 192)
    assert tokens.count == len(toy.frames.bounds_wsen_m)
    with open_imagery(city_tif) as imagery:
        for frame in (0, 6, 15):  # a corner, an inner one, the end of the second batch
            pixels = frame_pixels(toy, imagery, frame)
            with torch.inference_mode():
                wanted = tiny_model().encode_remote_sensing(remote_sensing_pixels(pixels.dn[None]))
            found = tokens.frame([frame])
            assert found.dtype == torch.float32
            torch.testing.assert_close(found, wanted, rtol=2**-10, atol=2e-6)
    several = tokens.frame(np.array([6, 0, 6]))
    assert torch.equal(several, torch.cat([tokens.frame([n]) for n in (6, 0, 6)]))


def test_the_file_is_plain_numpy_and_the_manifest_vouches_for_it(toy: Index) -> None:
    maps = np.load(toy.path / "tokens.npy", mmap_mode="r")
    assert (maps.shape, maps.dtype) == ((16, 12, 12, 192), np.float16)
    assert toy.manifest.schema_version == 5
    assert toy.manifest.tokens == {
        "file": "tokens.npy",
        "shape": [16, 12, 12, 192],
        "type": "float16",
    }
    assert toy.manifest.files["tokens.npy"].sha256 == sha256_of(toy.path / "tokens.npy")
    assert toy.manifest.seconds["keeping token maps"] > 0


def test_cell_vectors_do_not_depend_on_whether_maps_are_kept(
    city_tif: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed: dict[str, int] = {}
    monkeypatch.setattr(
        "indexer.build.build.require_space",
        lambda folder, needed_bytes: needed.setdefault(folder.name, needed_bytes),
    )
    region = region_from_bbox(BOX_WSEN_DEG, "box")
    for name, keep in (("with", True), ("without", False)):
        options = BuildOptions(keep_token_maps=keep, quiet=True)
        with open_imagery(city_tif) as imagery:
            build_index(name, region, imagery, tiny_model(), tmp_path, options=options)
    kept, bare = (open_index(tmp_path / name) for name in ("with", "without"))
    for file in ("rs.faiss", "location.faiss"):
        assert kept.manifest.files[file] == bare.manifest.files[file]
    assert (bare.manifest.tokens, bare.tokens) == (None, None)
    assert not (bare.path / "tokens.npy").exists()
    assert set(kept.manifest.files) - set(bare.manifest.files) == {"tokens.npy"}
    assert needed["with"] - needed["without"] == 2 * (1 * 12 * 12 * 192 * 2)  # units, index


def test_an_index_from_before_token_maps_opens(city_tif: Path, tmp_path: Path) -> None:
    build_box(city_tif, tmp_path)
    build = serving_build(tmp_path / "box")
    (build / "tokens.npy").unlink()
    file = build / "manifest.json"
    values = json.loads(file.read_bytes())
    del values["tokens"], values["files"]["tokens.npy"]
    file.write_text(json.dumps(values))
    rewrite_manifest(tmp_path / "box", schema_version=1)
    index = open_index(tmp_path / "box")
    assert (index.manifest.schema_version, index.tokens) == (1, None)
    assert len(index.frames.bounds_wsen_m) == 1
    rewrite_manifest(tmp_path / "box", schema_version=2)  # which must say whether it has any
    with pytest.raises(IndexCorruptError, match="not a manifest.*tokens"):
        open_index(tmp_path / "box")


def test_maps_come_in_any_order_and_frames_that_are_not_used_are_zero(tmp_path: Path) -> None:
    maps = torch.randn(5, 3, 2, 4, generator=torch.Generator().manual_seed(0))
    with TokenWriter(tmp_path / "t.npy", (5, 3, 2, 4)) as writer:
        writer.write([3, 0], half_maps(maps[[3, 0]]))
        writer.write([1], half_maps(maps[1:2]))
    found = TokenMaps(tmp_path / "t.npy")
    assert (found.count, found.grid_hw, found.dim) == (5, (3, 2), 4)
    torch.testing.assert_close(found.frame([0, 1, 3]), maps[[0, 1, 3]], rtol=2**-11, atol=1e-7)
    assert not found.frame([2, 4]).any()
    with TokenWriter(tmp_path / "none.npy", (0, 3, 2, 4)):
        pass
    assert TokenMaps(tmp_path / "none.npy").count == 0


def test_a_mostly_empty_frame_is_not_kept(city_tif: Path, tmp_path: Path) -> None:
    with open_imagery(city_tif) as imagery:
        points = np.array([[-0.11, 51.505], [-0.1293, 51.4887]])  # the middle, nearly a corner
        squares = [Footprint.web_mercator_square((lon, lat), 2446.0) for lon, lat in points]
        bounds = np.array([square.bounds_wsen for square in squares])
        plan = FramePlan(bounds, np.arange(2), np.full(2, 152), 2446.0, 0.75)
        shape = (2, 12, 12, 192)
        with TokenWriter(tmp_path / "t.npy", shape) as writer:
            found = embed_frames(tiny_model(), imagery, plan, points, tokens=writer)
    assert found.valid_fraction.tolist() == pytest.approx([1, 0.3], abs=0.1)
    assert TokenMaps(tmp_path / "t.npy").frame([0, 1]).abs().amax((1, 2, 3)).bool().tolist() == [
        True,
        False,
    ]


def test_values_past_half_precision_are_refused() -> None:
    with pytest.raises(ModelError, match=r"token maps reach 70000.*\(`keep_token_maps`\)"):
        half_maps(torch.tensor([1.0, 70_000.0]).view(1, 1, 1, 2))


@pytest.mark.process
def test_a_full_disk_is_an_error_of_one_line(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        fill_disk(disk, 64 * 1024)
        shape = (40, 12, 12, 8)
        with (
            pytest.raises(StorageError, match="cannot write .*t.npy: no space left"),
            TokenWriter(disk / "t.npy", shape) as writer,
        ):
            writer.write(range(40), np.ones(shape, np.float16))


def spoil_text(file: Path) -> None:
    file.write_bytes(b"no array")


def spoil_type(file: Path) -> None:
    np.save(file, np.load(file).astype(np.float32))


def spoil_count(file: Path) -> None:
    np.save(file, np.load(file).repeat(2, axis=0))


def spoil_width(file: Path) -> None:
    np.save(file, np.load(file)[..., :8])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_text, "tokens.npy is not a readable NumPy file"),
        (spoil_type, r"tokens.npy holds float32 of shape \(1, 12, 12, 192\); expected float16"),
        (spoil_count, "cells.duckdb has 1, and tokens.npy has 2 of 192 dimensions, not 192"),
        (spoil_width, "cells.duckdb has 1, and tokens.npy has 1 of 8 dimensions, not 192"),
    ],
)
def test_other_maps_with_a_fitting_hash_are_refused(
    boxes: Path, tmp_path: Path, spoil: object, message: str
) -> None:
    indexes = Path(shutil.copytree(boxes, tmp_path / "indexes"))
    assert callable(spoil)
    spoil(serving_build(indexes / "box") / "tokens.npy")
    rewrite_manifest(indexes / "box")
    with pytest.raises(IndexCorruptError, match=message):
        open_index(indexes / "box")
