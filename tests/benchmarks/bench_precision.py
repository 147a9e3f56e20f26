"""What half precision changes of scores and ranks, beside float32.

A trained model on photos of its kind of city, and the released architecture on a real scene.
"""

from __future__ import annotations

import copy
import csv
import io
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from bench_build import scene_folder
from big_index import street_jpegs
from measured_builds import described, measured_build
from measuring import medians_s, report
from PIL import Image
from repository import REPOSITORY

from gair.encoders.precision import photo_tower
from gair.model import Gair
from gair.photos.photo import open_photo
from gair.preprocess import street_view_pixels
from indexer.index.index import Index, open_index
from indexer.regions.cells import cells_at

sys.path += [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

from toy_city import photo

AGREE = 1e-2
"""The most that a score, in -1..1, and the share of photos found may move."""
BBOX = "-75.62,37.66,-75.56,37.72"
"""Six by seven kilometres of the real scene."""
AT = (1, 10, 100)
PHOTOS = 300


def test_scores_of_the_released_architecture(tmp_path: Path) -> None:
    argv = ["--imagery", str(scene_folder()), f"--bbox={BBOX}", "--model", "untrained:base"]
    indexes, lines = _both(argv, tmp_path)
    queries = _photo_vectors(Gair.untrained("base"), [photo(seed) for seed in range(8)])
    for kind in ("rs", "location"):
        wanted, found = (getattr(index, kind).scores(queries) for index in indexes)
        moved = float(np.abs(wanted - found).max())
        lines.append(f"{kind}: scores move by at most {moved:.1e} (wanted {AGREE})")
        assert moved <= AGREE
    report(f"half precision, released architecture, load now {os.getloadavg()[0]:.1f}", *lines)


def test_the_photo_tower_in_eight_bits() -> None:
    """Linear layers in int8, their inputs quantised as they come: what it saves and what it moves.

    Weights are random, so photos are more alike than a trained model's: errors count for more.
    """
    model = Gair.untrained("base")
    photos = [open_photo(io.BytesIO(jpeg)).rgb for jpeg in street_jpegs(8)]
    pixels = street_view_pixels([np.asarray(rgb) for rgb in photos])
    half = photo_tower(model)
    linear = {torch.nn.Linear}
    with warnings.catch_warnings(action="ignore"):
        quantize = torch.ao.quantization.quantize_dynamic
        eight = quantize(copy.deepcopy(model.street_view), linear, dtype=torch.qint8)
    towers = {"float32": model.street_view, "bfloat16": half, "int8": eight}
    with torch.inference_mode():
        vectors = {
            name: torch.nn.functional.normalize(tower(pixels).float(), dim=1)
            for name, tower in towers.items()
        }
        took_s = medians_s(*(partial(tower, pixels[:1]) for tower in towers.values()), rounds=9)
    exact = vectors["float32"]
    report(
        f"one photo, released architecture, {torch.get_num_threads()} threads; cosine with float32 "
        f"of {len(photos)} photos, at least",
        *(
            f"{name:9} {1e3 * s:6.1f} ms   {s / took_s[1]:.2f}x bfloat16   "
            f"{float((vectors[name] * exact).sum(dim=1).min()):.5f}"
            for name, s in zip(towers, took_s, strict=True)
        ),
        f"two of the photos have a cosine of {float(exact[0] @ exact[1]):.3f}",
    )


def test_ranks_of_a_trained_model(tmp_path: Path) -> None:
    city = [sys.executable, "-m", "training.synthetic", "city", "--out", str(tmp_path / "city")]
    flags = ["--photos", str(PHOTOS), "--dates", "1", "--side-km", "6"]
    subprocess.run([*city, *flags], check=True, capture_output=True)
    argv = ["--imagery", str(tmp_path / "city" / "imagery"), "--model", "shipped:demo"]
    indexes, lines = _both(argv, tmp_path)
    with (tmp_path / "city" / "photos.csv").open() as file:
        rows = list(csv.DictReader(file))
    photos = [Image.open(tmp_path / "city" / row["file"]).convert("RGB") for row in rows]
    queries = _photo_vectors(Gair.from_pretrained("shipped:demo"), photos)
    lonlat_deg = np.array([[float(row["lon"]), float(row["lat"])] for row in rows])
    full, half = (_rank_of_truth(index, queries, lonlat_deg) for index in indexes)
    for k in AT:
        shares = [float((ranks <= k).mean()) for ranks in (full, half)]
        lines.append(f"found among the first {k}: {shares[0]:.3f} and {shares[1]:.3f}")
        assert abs(shares[0] - shares[1]) <= AGREE
    shift = np.abs(full - half) / len(indexes[0].cells)
    lines.append(f"the true cell's rank moves by {shift.mean():.2%} of all cells on average")
    assert shift.mean() <= AGREE
    report(f"half precision, {len(rows)} photos, trained model", *lines)


def _both(argv: list[str], folder: Path) -> tuple[tuple[Index, Index], list[str]]:
    """One index in float32, one in bfloat16, and what their builds took."""
    lines = []
    for precision in ("float32", "bfloat16"):
        flags = [*argv, "--quiet", "--precision", precision]
        lines += described(measured_build(flags, precision, folder))
    return (open_index(folder / "float32"), open_index(folder / "bfloat16")), lines


def _photo_vectors(model: Gair, photos: list[Image.Image]) -> npt.NDArray[np.float32]:
    arrays = [np.asarray(one) for one in photos]
    with torch.inference_mode():
        pixels = street_view_pixels(arrays, model.config.sv_image_px)
        return np.asarray(model.encode_street_view(pixels).numpy())


def _rank_of_truth(
    index: Index, queries: npt.NDArray[np.float32], lonlat_deg: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """(Q,) from 1: where the cell of each photo stands among all."""
    cells = cells_at(lonlat_deg, index.manifest.h3_resolution)
    rows = np.searchsorted(index.cells.h3, cells)
    assert (index.cells.h3[rows] == cells).all()
    scores = index.rs.scores(queries)
    return np.asarray((scores > np.take_along_axis(scores, rows[:, None], 1)).sum(axis=1) + 1)
