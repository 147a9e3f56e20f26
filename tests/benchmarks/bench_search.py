"""A search of Greater London at H3 10, photo to candidates, beside the bare street-view pass."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from big_index import NoiseEverywhere, street_jpegs
from measuring import medians_s, report

from gair.config import preset
from gair.model import Gair
from gair.photos.photo import open_photo
from gair.preprocess import street_view_pixels
from indexer import search
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

    def bare() -> torch.Tensor:
        with torch.inference_mode():
            return model.encode_street_view(pixels)

    bare_s, search_s = medians_s(
        bare, lambda: search(photo, index="london", indexes_dir=tmp_path), rounds=31
    )
    ratio = search_s / bare_s
    report(
        f"{built.manifest.cells_indexed:,} cells x 2 kinds x 768, a 1280 x 720 JPEG",
        f"bare street-view pass     {bare_s * 1e3:7.1f} ms",
        f"search, file to places    {search_s * 1e3:7.1f} ms   {ratio:.2f}x "
        f"(wanted at most {WANTED_RATIO}x)",
    )
    assert built.manifest.cells_indexed > 100_000
    assert ratio <= WANTED_RATIO
