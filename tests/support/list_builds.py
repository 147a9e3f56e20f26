"""Small builds that are searched by shortlist, as only large ones are by themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from small_builds import build_box, rewrite_manifest, serving_build

from gair.model import Gair
from indexer.index.ivf import list_files
from indexer.index.ivf_build import make_search
from indexer.index.vectors import FlatWriter

WIDE_BOX_WSEN_DEG = (-0.120, 51.490, -0.085, 51.515)
"""Six square kilometres inside the made-up city: 3,506 cells of resolution 11."""


def wide_build(city_tif: Path, out: Path, name: str = "wide") -> Path:
    """A flat index by the shipped model, whose vectors differ from place to place."""
    build_box(
        city_tif,
        out,
        name=name,
        bbox_wsen_deg=WIDE_BOX_WSEN_DEG,
        resolution=11,
        model=Gair.from_pretrained("shipped:demo"),
        model_source="shipped:demo",
    )
    return out / name


def with_lists(index_folder: Path, copy: Path, kind: str, shortlist: int) -> dict[str, Any]:
    """Copy an index and give it a second file a kind; returns the manifest's ``search``."""
    shutil.copytree(index_folder, copy)
    build = serving_build(copy)
    search = make_search(build, kind, shortlist=shortlist, quiet=True)
    files = json.loads((build / "manifest.json").read_bytes())["files"]
    rewrite_manifest(copy, search=search, files=files | dict.fromkeys(list_files(search)))
    return search


def clustered(count: int, dim: int, seed: int = 0, centres: int = 200) -> npt.NDArray[np.float32]:
    """Unit vectors in clusters, as embeddings are."""
    rng = np.random.default_rng(seed)
    middle = np.random.default_rng(99).normal(size=(centres, dim))
    vectors = middle[rng.integers(0, centres, count)] + 0.4 * rng.normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def write_flat(folder: Path, rs: npt.NDArray[Any], location: npt.NDArray[Any]) -> Path:
    """The two flat files of a build."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, vectors in (("rs.faiss", rs), ("location.faiss", location)):
        with FlatWriter(folder / name, vectors.shape[1]) as writer:
            writer.append(vectors)
    return folder
