"""Readers on small data in the layout that each data set's authors publish."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from labelled_samples import (
    SIDE,
    write_burn_scars,
    write_csv,
    write_photo,
    write_small_farms,
    write_south_sudan,
    write_streetscapes,
    write_tif,
)

from gair.bands import GAIR_BANDS
from gair.errors import DatasetError, PhotoError
from training.finetune.readers import (
    labelled_photos,
    labelled_places,
    labelled_scenes,
)
from training.finetune.remote_sensing import IGNORED

SMALL = {"training": 3, "validation": 1}


def test_burn_scars(tmp_path: Path) -> None:
    data = labelled_scenes.read_burn_scars(write_burn_scars(tmp_path), SMALL)
    assert (len(data.train), len(data.test), data.val, data.dates) == (3, 1, None, 1)
    dn, mask = data.test.read(0)
    assert dn.shape == (1, 6, SIDE, SIDE)
    assert dn[0, :, 0, 0].max() == 0
    assert 1000 < dn[0, :, 1:].mean() < 3000
    assert (mask == IGNORED).sum() == 1
    assert (mask == 1).sum() == 3
    assert data.train.bands == ("B2", "B3", "B4", "B8A", "B11", "B12")


def test_burn_scars_that_are_not_as_published(tmp_path: Path) -> None:
    folder = write_burn_scars(tmp_path)
    with pytest.raises(DatasetError, match=r"training: files \*_merged.tif: 3 found, 540 are pub"):
        labelled_scenes.read_burn_scars(folder)
    mask = next((folder / "validation").glob("*.mask.tif"))
    content = mask.read_bytes()
    mask.unlink()
    with pytest.raises(DatasetError, match=f"{mask.name} is missing: download the data set again"):
        labelled_scenes.read_burn_scars(folder, SMALL)
    mask.write_bytes(content[:100])
    data = labelled_scenes.read_burn_scars(folder, SMALL)
    with pytest.raises(DatasetError, match=f"cannot read .*{mask.name}"):
        data.test.read(0)
    mask.unlink()
    write_tif(mask, np.full((1, SIDE, SIDE), 255, np.int16))
    with pytest.raises(DatasetError, match=rf"{mask.name} has class 255; expected -1, 0, 1"):
        data.test.read(0)
    write_tif(mask, np.zeros((1, SIDE, 4), np.int16))
    with pytest.raises(
        DatasetError, match=rf"has shape \(6, 8, 8\) and its mask {mask.name} \(8, 4\)"
    ):
        data.test.read(0)


def test_checksums_are_checked_where_they_are(tmp_path: Path) -> None:
    folder = write_burn_scars(tmp_path)
    image = next((folder / "training").glob("*_merged.tif"))
    name = image.relative_to(folder)
    good = hashlib.sha256(image.read_bytes()).hexdigest()
    sums = folder / "checksums.sha256"
    sums.write_text(f"{good}  {name}\n")
    labelled_scenes.read_burn_scars(folder, SMALL)
    sums.write_text(f"{'0' * 64} *{name}\n")
    with pytest.raises(DatasetError, match=f"{name} has sha256 {good[:12]}..., and"):
        labelled_scenes.read_burn_scars(folder, SMALL)
    sums.write_text(f"{good}  training/no.tif\n")
    with pytest.raises(DatasetError, match=r"training/no\.tif is missing"):
        labelled_scenes.read_burn_scars(folder, SMALL)
    sums.write_bytes(b"\xff\xfe\n")
    with pytest.raises(DatasetError, match="line 1: expected a sha256 and a file name"):
        labelled_scenes.read_burn_scars(folder, SMALL)
    sums.write_text("abc\n")
    with pytest.raises(DatasetError, match="line 1: expected a sha256 and a file name"):
        labelled_scenes.read_burn_scars(folder, SMALL)


@pytest.mark.parametrize("val", ["validate", "val"])
def test_small_farms(tmp_path: Path, val: str) -> None:
    data = labelled_scenes.read_small_farms(write_small_farms(tmp_path, val), tiles=4)
    assert data.val is not None
    assert (len(data.train), len(data.val), len(data.test)) == (2, 1, 1)
    dn, mask = data.train.read(1)
    assert dn.shape == (1, 4, SIDE, SIDE)
    assert np.isfinite(dn).all()
    assert (mask.sum(), mask.max()) == (2 * SIDE, 1)


def test_small_farms_that_are_not_as_published(tmp_path: Path) -> None:
    folder = write_small_farms(tmp_path)
    with pytest.raises(DatasetError, match="tiles of all splits: 4 found, 62 are published"):
        labelled_scenes.read_small_farms(folder)
    masks = folder / "sentinel-2-asia" / "train" / "masks"
    (masks / "1.tif").rename(masks / "2.tif")
    with pytest.raises(DatasetError, match=r"train/masks/1\.tif is missing"):
        labelled_scenes.read_small_farms(folder, tiles=4)
    (masks / "2.tif").unlink()
    with pytest.raises(DatasetError, match=r"train/masks: files \*.tif: 1 found, 2 are published"):
        labelled_scenes.read_small_farms(folder, tiles=4)
    with pytest.raises(DatasetError, match=r"images holds no .tif"):
        labelled_scenes.read_small_farms(tmp_path / "elsewhere", tiles=4)


def test_south_sudan(tmp_path: Path) -> None:
    data = labelled_scenes.read_south_sudan(write_south_sudan(tmp_path))
    assert data.val is not None
    assert (len(data.train), len(data.val), len(data.test), data.dates) == (2, 1, 1, 6)
    dn, mask = data.train.read(0)
    assert dn.shape == (6, 10, SIDE, SIDE)
    assert dn[:, 0, 0, 0].tolist() == [800, 700, 600, 500, 400, 300]  # the last six of nine
    assert data.train.read(1)[0][:, 0, 0, 0].tolist() == [300, 200, 100, 0, 0, 0]
    truth = np.load(tmp_path / "southsudan/truth/southsudan_000003.npz")["truth"]
    assert (mask == np.where((truth > 0) & (truth < 5), truth - 1, IGNORED)).all()
    assert data.train.bands == GAIR_BANDS


def test_south_sudan_that_is_not_as_published(tmp_path: Path) -> None:
    home = write_south_sudan(tmp_path) / "southsudan"
    path = home / "npy" / "southsudan_000042.npz"
    np.savez(path, s2=np.zeros((9, SIDE, SIDE, 6)))
    with pytest.raises(DatasetError, match=r"s2 of .*_000042.npz has shape \(9, 8, 8, 6\)"):
        labelled_scenes.read_south_sudan(tmp_path).test.read(0)
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DatasetError, match="_000042.npz"):
        labelled_scenes.read_south_sudan(tmp_path).test.read(0)
    path.unlink()
    with pytest.raises(DatasetError, match="southsudan_000042.npz is missing"):
        labelled_scenes.read_south_sudan(tmp_path)
    write_csv(home / "list_eval_partition.csv", "id,partition", "3,0")
    with pytest.raises(DatasetError, match=r"has no scene of partition 1 \(val\)"):
        labelled_scenes.read_south_sudan(tmp_path)


def test_streetscapes(tmp_path: Path) -> None:
    data = labelled_photos.read_streetscapes(write_streetscapes(tmp_path), "view_direction")
    assert data.names == ("front/back", "side")
    assert data.train.targets.tolist() == [1, 0, 1]
    assert data.test.targets.tolist() == [0]
    assert data.test.inputs[0].shape == (12, 16, 3)
    (tmp_path / "img" / "test-0.jpeg").write_bytes(b"broken")
    with pytest.raises(PhotoError, match=r"test-0\.jpeg"):
        data.test.inputs[0]


def test_streetscapes_that_are_not_as_published(tmp_path: Path) -> None:
    folder = write_streetscapes(tmp_path)
    with pytest.raises(DatasetError, match=r"train/platform\.csv is missing"):
        labelled_photos.read_streetscapes(folder, "platform")
    write_csv(folder / "test" / "view_direction.csv", "uuid,view_direction", "test-0,upwards")
    with pytest.raises(DatasetError, match="has 'upwards', which no photo of train is"):
        labelled_photos.read_streetscapes(folder, "view_direction")
    write_csv(folder / "test" / "view_direction.csv", "uuid,direction", "test-0,side")
    with pytest.raises(DatasetError, match="no column view_direction; it has uuid, direction"):
        labelled_photos.read_streetscapes(folder, "view_direction")
    write_csv(folder / "test" / "view_direction.csv", "uuid,view_direction", "gone,side")
    with pytest.raises(DatasetError, match=r"img/gone\.jpeg is missing"):
        labelled_photos.read_streetscapes(folder, "view_direction")
    for row in ("test-0", "test-0,"):
        write_csv(folder / "test" / "view_direction.csv", "uuid,view_direction", row)
        with pytest.raises(DatasetError, match=r"csv, row 1: view_direction is empty"):
            labelled_photos.read_streetscapes(folder, "view_direction")
    write_csv(folder / "test" / "view_direction.csv", "uuid,view_direction", "train-1,side")
    with pytest.raises(DatasetError, match=r"train-1\.jpeg is in train and in test"):
        labelled_photos.read_streetscapes(folder, "view_direction")
    (folder / "test" / "view_direction.csv").write_bytes(b"uuid,view_direction\n\xff\xfe,a\n")
    with pytest.raises(DatasetError, match=r"view_direction\.csv is no CSV"):
        labelled_photos.read_streetscapes(folder, "view_direction")


def test_numbers_of_photos(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write_photo(tmp_path / "photos" / name)
    head = "file,split,income,safe"
    rows = ["photos/a.jpg,train,100,0.5", "photos/b.jpg,train,200,1", "photos/c.jpg,test,150,0"]
    write_csv(tmp_path / "labels.csv", head, *rows)
    data = labelled_photos.read_numbers(tmp_path)
    assert (data.goal, data.names) == ("regression", ("income", "safe"))
    assert data.train.targets.tolist() == [[100, 0.5], [200, 1]]
    assert len(data.test) == 1
    write_csv(tmp_path / "labels.csv", head, rows[0], "photos/b.jpg,train,much,1", rows[2])
    with pytest.raises(DatasetError, match=r"labels.csv, row 2: income is 'much', no number"):
        labelled_photos.read_numbers(tmp_path)
    write_csv(tmp_path / "labels.csv", head, *rows, "photos/a.jpg,test,nan,1")
    with pytest.raises(DatasetError, match=r"labels.csv, row 4: income is 'nan', no number"):
        labelled_photos.read_numbers(tmp_path)
    write_csv(tmp_path / "labels.csv", head, *rows, "photos/./a.jpg,test,1,1")
    with pytest.raises(DatasetError, match=r"a\.jpg is in train and in test"):
        labelled_photos.read_numbers(tmp_path)
    write_csv(tmp_path / "labels.csv", head, *rows, "photos/a.jpg,val,1,1")
    with pytest.raises(DatasetError, match="row 4: split is 'val'; expected train or test"):
        labelled_photos.read_numbers(tmp_path)
    write_csv(tmp_path / "labels.csv", head, *rows[:2])
    with pytest.raises(DatasetError, match="no row whose split is test"):
        labelled_photos.read_numbers(tmp_path)
    write_csv(tmp_path / "labels.csv", "file,split", "photos/a.jpg,train")
    with pytest.raises(DatasetError, match="no column beside file and split"):
        labelled_photos.read_numbers(tmp_path)


def test_mosaiks(tmp_path: Path) -> None:
    rows = ["-100.5,40.25,12,train", "-90,35,7,val", "-80,30,1,test"]
    write_csv(tmp_path / "Y_population.csv", "lon,lat,population,split", *rows)
    data = labelled_places.read_mosaiks(tmp_path, "population")
    assert data.train.inputs.tolist() == [[-100.5, 40.25], [-90, 35]]
    assert data.train.targets.tolist() == [[12], [7]]
    assert data.test.targets.tolist() == [[1]]
    write_csv(tmp_path / "Y_forest_cover.csv", "lon,lat,forest,split", *rows)
    assert labelled_places.read_mosaiks(tmp_path, "forest_cover").test.targets.tolist() == [[1]]
    write_csv(tmp_path / "Y_population.csv", "lon,lat,population,split", "40,-100,1,train", rows[2])
    with pytest.raises(DatasetError, match=r"row 1: longitude 40.0, latitude -100.0"):
        labelled_places.read_mosaiks(tmp_path, "population")
    write_csv(tmp_path / "Y_population.csv", "lon,lat,population,split", rows[0])
    with pytest.raises(DatasetError, match="no row of the split test"):
        labelled_places.read_mosaiks(tmp_path, "population")
    head = "lon,lat,population,split"
    write_csv(tmp_path / "Y_population.csv", head, *rows, "1,2,3,Test")
    with pytest.raises(DatasetError, match="row 4: split is 'Test'; expected train, val or test"):
        labelled_places.read_mosaiks(tmp_path, "population")
    with pytest.raises(DatasetError, match=r"Y_elevation\.csv is missing"):
        labelled_places.read_mosaiks(tmp_path, "elevation")
