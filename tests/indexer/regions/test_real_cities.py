"""Real imagery and real photos: refused where it is of another kind, else indexed and searched."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from refusals import Capture, built, refusal

from gair.photos.photo import open_photo
from indexer.commands.cli import main
from indexer.index.index import open_index


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("heathrow_s2_bgrn.tif", "needed"),
        ("tokyo_landsat8_z12.tif", "B2, B3, B4, B5, B6, B7, B8, B8A, B11, B12"),
    ],
)
def test_real_imagery_of_another_kind(
    shared_dir: Path, tmp_path: Path, capsys: Capture, file: str, words: str
) -> None:
    message = refusal(built(shared_dir / "data" / "imagery" / file, tmp_path), capsys)
    assert file in message
    assert words in message


@pytest.mark.shared
def test_three_real_cities_in_one_index(shared_dir: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = shared_dir / "data" / "gair_pairs"
    argv = ["build", "--imagery", str(folder), "--bands", "l2a-12", "--model", "untrained:tiny"]
    assert main([*argv, "--out", str(tmp_path), "--name", "three", "--quiet"]) == 0
    told = capsys.readouterr()
    assert "at H3 resolution 10" in told.out
    index = open_index(tmp_path / "three")
    with (folder / "pairs.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    lon, lat = index.cells.lonlat_deg.T
    edges = [
        [float(p[f"rs_bbox_{side}"]) for side in ("lon_min", "lat_min", "lon_max", "lat_max")]
        for p in pairs
    ]
    inside = np.array([(lon > w) & (lon < e) & (lat > s) & (lat < n) for w, s, e, n in edges])
    assert (inside.sum(axis=0) == 1).all()  # every cell in one city
    assert (inside.sum(axis=1) > 150).all()  # 1.8 by 1.9 km or more, 0.015 km2 a cell
    assert len(index.manifest.imagery["scenes"]) == 3
    photos = [folder / p["sv_image"] for p in pairs]
    assert main(["search", *map(str, photos), "--indexes", str(tmp_path), "--json", "-k", "6"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [answer["photo"] for answer in answers] == [str(path) for path in photos]
    for answer, path in zip(answers, photos, strict=True):
        assert len(answer["candidates"]) == 6
        assert answer["cells_searched"] == len(index.cells)
        assert answer["trained"] is False
        gps = open_photo(path).gps_lonlat_deg
        assert answer["photo_gps_lonlat_deg"] == (None if gps is None else list(gps))
        for c in answer["candidates"]:
            assert (c["lon_deg"], c["lat_deg"]) == tuple(index.cells.lonlat_deg[c["row"]])
