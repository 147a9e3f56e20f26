"""A search of Greater London at H3 10, photo to candidates, beside the bare street-view pass."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from big_index import NoiseEverywhere, street_jpegs
from measuring import medians_s, report

from gair.config import preset
from gair.encoders.precision import has_bfloat16, photo_tower
from gair.model import Gair
from gair.photos.photo import open_photo
from gair.preprocess import street_view_pixels
from indexer import Geolocator
from indexer.build.build import build_index
from indexer.regions.region import named_region

WANTED_RATIO = 1.25


def test_search_against_the_bare_pass(tmp_path: Path) -> None:
    london = named_region("london")
    # The imagery encoder plays no part in a search: one block of it makes the index sooner.
    config = dataclasses.replace(preset("base"), rs_depth=1)
    folder = Gair(config, Gair.untrained("tiny").info).save_pretrained(tmp_path / "model")
    model = Gair.from_pretrained(folder)
    built = build_index(
        "london",
        london,
        NoiseEverywhere(london.geometry),
        model,
        tmp_path,
        model_source=str(folder),
    )
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(street_jpegs(1)[0])
    pixels = street_view_pixels([np.asarray(open_photo(photo).rgb)])

    tower = photo_tower(model)

    def bare() -> torch.Tensor:
        with torch.inference_mode():
            return model.encode_street_view(pixels)

    def bare_half() -> torch.Tensor:
        with torch.inference_mode():
            return tower(pixels)

    whole, half = (
        Geolocator.open("london", indexes_dir=tmp_path, model=model, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    bare_s, half_s, search_s, half_search_s = medians_s(
        bare, bare_half, lambda: whole.search(photo), lambda: half.search(photo), rounds=31
    )
    ratio = (half_search_s if has_bfloat16() else search_s) / (half_s if has_bfloat16() else bare_s)
    report(
        f"{built.manifest.cells_indexed:,} cells x 2 kinds x 768, a 1280 x 720 JPEG, "
        f"{torch.get_num_threads()} threads",
        f"float32:  bare street-view pass {bare_s * 1e3:7.1f} ms, search, file to places "
        f"{search_s * 1e3:7.1f} ms   {search_s / bare_s:.2f}x",
        f"bfloat16: bare street-view pass {half_s * 1e3:7.1f} ms, search, file to places "
        f"{half_search_s * 1e3:7.1f} ms   {half_search_s / half_s:.2f}x",
        f"wanted at most {WANTED_RATIO}x where the CPU multiplies in bfloat16: "
        f"{'it does' if has_bfloat16() else 'it does not'}",
    )
    assert built.manifest.cells_indexed > 100_000
    assert ratio <= WANTED_RATIO
