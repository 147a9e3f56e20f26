"""Days of the imagery: each a picture of its own where a place was seen on two."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate
from small_builds import build_box, frame_pixels, tiny_model
from toy_city import write_city

from gair.arrays import Floats32
from gair.errors import UnfinishedError
from gair.geo import lonlat_to_web_mercator
from indexer.build.build import BuildOptions, build_index
from indexer.commands.cli import main
from indexer.export.export import export_geoparquet
from indexer.imagery import open_imagery
from indexer.imagery.options import Composite
from indexer.imagery.scenes import Scene
from indexer.imagery.source import kept_days
from indexer.imagery.warping import warp_scene
from indexer.index.index import open_index
from indexer.index.picture.cog import DATE, About, Picture, write_picture
from indexer.index.picture.paint import Strip, painted
from indexer.index.picture.shades import shaded, stretch_of
from indexer.merge.cut import cut_index
from indexer.regions.region import region_from_bbox

TWO_KM_WSEN_DEG = (-0.128, 51.502, -0.106, 51.518)
WEST_WSEN_DEG = (-0.1250, 51.5030, -0.1150, 51.5100)


def write_days(folder: Path, days: dict[str, int], side_px: int = 200) -> Path:
    """The same place on several days, each of other colours."""
    folder.mkdir()
    for day, seed in days.items():
        path = write_city(folder / f"city-{seed}.tif", side_px=side_px, seed=seed)
        with rasterio.open(path, "r+") as file:
            file.update_tags(TIFFTAG_DATETIME=f"{day} 11:00:00")
    return folder


def around(picture: Picture, lonlat_deg: tuple[float, ...]) -> Strip:
    """Sixteen by sixteen pixels of a picture around a place."""
    x, y = picture.grid.column_row_px(lonlat_to_web_mercator([lonlat_deg]))[0]
    square = picture.square(int(x) - 8, int(y) - 8, 16, 16)
    assert square is not None
    return square


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of indexes with ``box``, of imagery of two days."""
    folder = tmp_path_factory.mktemp("days")
    imagery = write_days(folder / "imagery", {"2024:03:01": 1, "2024:06:11": 2})
    build_box(imagery, folder, bbox_wsen_deg=TWO_KM_WSEN_DEG, resolution=9)
    return folder


def test_each_day_has_a_picture_beside_what_the_index_was_made_from(two_days: Path) -> None:
    index = open_index(two_days / "box")
    said = [(picture.entry["shows"], picture.entry["dates"]) for picture in index.pictures]
    both = ["2024-03-01", "2024-06-11"]
    assert said == [("index", both), ("date", both[:1]), ("date", both[1:])]
    assert all(cog_validate(picture.path)[0] for picture in index.pictures)
    with rasterio.open(index.pictures[2].path) as file:
        assert "2024-06-11" in file.tags()["TIFFTAG_IMAGEDESCRIPTION"]
    middle = tuple(index.cells.lonlat_deg.mean(axis=0).tolist())
    made_from, first, second = (around(picture, middle) for picture in index.pictures)
    # Of two days the median is their mean; the picture's curve bends it a little.
    both_days = (first.astype(int) + second) / 2
    assert abs(made_from - both_days)[..., :3].mean() < 8
    assert abs(first.astype(int) - second)[..., :3].mean() > 30


def test_info_and_the_check_know_them(two_days: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--index", "box", "--indexes", str(two_days)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"picture  picture\.tif, 0\.\d MB, 2024-03-01 to 2024-06-11\n", told)
    assert re.search(r"picture  picture-3\.tif, 0\.\d MB, 2024-06-11 by itself\n", told)
    assert main(["verify-index", "--index", "box", "--indexes", str(two_days)]) == 0
    told = capsys.readouterr().out
    assert "pixels of zoom 13, 2024-06-11\n" in told
    damaged = open_index(two_days / "box").pictures[1].path
    content = damaged.read_bytes()
    try:
        damaged.write_bytes(content[:-100] + bytes(100))
        assert main(["verify-index", "--index", "box", "--indexes", str(two_days)]) == 1
        assert f"DAMAGED  {damaged}" in capsys.readouterr().out
    finally:
        damaged.write_bytes(content)


def test_days_that_never_saw_the_same_place_are_one_picture(tmp_path: Path) -> None:
    folder = write_days(tmp_path / "a", {"2024:03:01": 1})
    other = write_city(folder / "other.tif", side_px=100, seed=3)
    with rasterio.open(other, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2024:06:11 11:00:00")
        file.transform = rasterio.transform.from_origin(720_000, 5_712_000, 10, 10)
    with open_imagery(folder) as imagery:
        assert len(imagery.scenes) == 2
        assert imagery.by_day() == {}
    with open_imagery(write_days(tmp_path / "b", {"2024:03:01": 1, "2024:06:11": 2})) as imagery:
        days = imagery.by_day()
        assert list(days) == ["2024-03-01", "2024-06-11"]
        assert [len(day.scenes) for day in days.values()] == [1, 1]


def test_of_many_days_those_that_show_most_are_kept(tmp_path: Path) -> None:
    folder = write_days(tmp_path / "many", {f"2024:03:0{n}": n for n in range(2, 10)}, 40)
    smaller = write_city(folder / "city-1.tif", side_px=30, seed=1)
    with rasterio.open(smaller, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2024:03:01 11:00:00")
    with open_imagery(folder) as imagery:
        assert len(imagery.by_day()) == 9
        assert list(kept_days(imagery)) == [f"2024-03-0{n}" for n in range(2, 10)]


def test_a_cut_crops_each_picture(two_days: Path, tmp_path: Path) -> None:
    whole = open_index(two_days / "box")
    region = region_from_bbox(WEST_WSEN_DEG, name="west")
    cut_index(two_days / "box", region, "west", tmp_path, quiet=True)
    cut = open_index(tmp_path / "west")
    assert [p.entry["dates"] for p in cut.pictures] == [p.entry["dates"] for p in whole.pictures]
    assert cut.pictures[0].entry["stretch"] == whole.pictures[0].entry["stretch"]
    for smaller, larger in zip(cut.pictures, whole.pictures, strict=True):
        assert cog_validate(smaller.path)[0]
        assert smaller.grid.width_px <= larger.grid.width_px
        place = tuple(cut.cells.lonlat_deg[len(cut.cells) // 2].tolist())
        one, other = around(smaller, place), around(larger, place)
        assert abs(one.astype(int) - other)[..., :3].mean() < 8


def test_an_export_with_stac_has_them_as_assets(two_days: Path, tmp_path: Path) -> None:
    index = open_index(two_days / "box")
    lines = export_geoparquet(index, tmp_path / "box.parquet", stac=True, quiet=True)
    assets = json.loads((tmp_path / "item.json").read_bytes())["assets"]
    assert assets["picture-3"]["title"] == "True colours, 2024-06-11"
    for name in ("picture", "picture-2", "picture-3"):
        file = tmp_path / f"{name}.tif"
        assert assets[name]["href"] == f"./{name}.tif"
        assert file.read_bytes() == (index.path / file.name).read_bytes()
        assert sum(line.startswith(f"{file}: picture of the region") for line in lines) == 1


def test_files_of_a_frame_are_resampled_once_for_the_vectors_and_its_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imagery = write_days(tmp_path / "imagery", {"2024:03:01": 1, "2024:06:11": 2, "2024:09:05": 3})
    resampled: list[str] = []

    def counted(scene: Scene, *others: Any) -> Floats32:
        resampled.append(scene.name)
        return warp_scene(scene, *others)

    monkeypatch.setattr("indexer.imagery.files.warp_scene", counted)
    build_box(imagery, tmp_path, bbox_wsen_deg=TWO_KM_WSEN_DEG, resolution=9)
    index = open_index(tmp_path / "box")
    assert len(index.pictures) == 4
    assert Counter(resampled) == dict.fromkeys(
        ("city-1.tif", "city-2.tif", "city-3.tif"), len(index.frames.bounds_wsen_m)
    )


@pytest.mark.parametrize("composite", ["median", "best"])
def test_a_day_is_painted_from_what_it_gives_by_itself_though_the_build_was_interrupted(
    composite: Composite, tmp_path: Path
) -> None:
    folder = write_days(tmp_path / "imagery", {"2024:03:01": 1, "2024:06:11": 2})
    part = write_city(folder / "part.tif", side_px=60, seed=3)  # a corner
    with rasterio.open(part, "r+") as file:
        file.update_tags(TIFFTAG_DATETIME="2024:09:05 11:00:00")
    region = region_from_bbox(TWO_KM_WSEN_DEG, name="box")
    with open_imagery(folder, composite=composite) as imagery:
        for limit in (1, None):
            options = BuildOptions(resolution=9, quiet=True, frames_a_unit=1, limit=limit)
            ended = pytest.raises(UnfinishedError) if limit else contextlib.nullcontext()
            with ended:
                build_index("box", region, imagery, tiny_model(), tmp_path, options=options)
        index = open_index(tmp_path / "box")
        days = imagery.by_day()
        assert [picture.entry["dates"] for picture in index.pictures[1:]] == [[d] for d in days]
        bounds, empty = index.frames.bounds_wsen_m, 0
        whole = [frame_pixels(index, imagery, row) for row in range(len(bounds))]
        assert all(frame.valid_fraction > 0.5 for frame in whole)  # all are encoded
        table = stretch_of(shaded(frame.dn, frame.valid) for frame in whole).table()
        for picture in index.pictures[1:]:
            alone = days[picture.entry["dates"][0]]
            frames = [frame_pixels(index, alone, row) for row in range(len(bounds))]
            empty += sum(not frame.valid.any() for frame in frames)
            shades = [shaded(f.dn, f.valid) if f.valid.any() else None for f in frames]
            strips = painted(picture.grid, bounds, shades.__getitem__, table)
            again = tmp_path / "again.tif"
            entry = picture.entry
            terms = (entry["attribution"], entry["licence"])
            assert write_picture(
                again, picture.grid, strips, About(DATE, (*entry["dates"],), *terms)
            )
            assert again.read_bytes() == picture.path.read_bytes()
        assert empty > 0
