"""Reference photos that are removed, merged, pruned, verified and exported."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path

import duckdb
import geopandas
import numpy as np
import pytest
from packing_samples import write_manifest
from reference_album import EAST, NORTH, SOUTH, WEST
from reference_samples import digest_of, give_references, reference_photos
from refusals import Capture, refusal

from gair.errors import IndexCorruptError, StorageError
from gair.files import sha256_of
from indexer.commands.cli import main
from indexer.ground.add import WORK
from indexer.ground.prune import prune_reference_photos
from indexer.ground.reference_photos import ReferencePhotos, open_reference_photos
from indexer.ground.remove import remove_photos
from indexer.ground.verify import check_reference_photos
from indexer.ground.write import HIDDEN, changing
from indexer.index.index import open_index
from indexer.merge.merge import merge_indexes

COUNT = 12


def vectors(count: int, dim: int, seed: int = 0) -> np.ndarray:
    s = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return s / np.linalg.norm(s, axis=1, keepdims=True)


def give(box: Path, count: int = COUNT, seed: int = 0, private: int = 0) -> ReferencePhotos:
    """Photos 0, 1, 2, ...; the first ones private, the odd ones of Mapillary."""
    places = np.random.default_rng(1).uniform((WEST, SOUTH), (EAST, NORTH), (count, 2))
    photos = reference_photos(
        places,
        source=["Mapillary" if n % 2 else "" for n in range(count)],
        link=[f"https://photos.example/{n}" for n in range(count)],
        licence=["CC BY-SA 4.0"] * count,
        attribution=[f"by {n}" for n in range(count)],
        captured_at=["2020-01-02"] * count,
        private=[n < private for n in range(count)],
    )
    give_references(box, photos, vectors(count, open_index(box).rs.dim, seed))
    return opened(box)


def opened(box: Path) -> ReferencePhotos:
    references = open_reference_photos(box)
    assert references is not None
    return references


def hashes(references: ReferencePhotos) -> set[str]:
    return {digest.decode() for digest in references.content_sha256.tolist()}


def by_hash(references: ReferencePhotos) -> dict[bytes, list[float]]:
    every = references.vectors(np.arange(len(references))).tolist()
    return dict(zip(references.content_sha256.tolist(), every, strict=True))


@pytest.fixture
def box(boxes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(boxes / "box", tmp_path / "box"))


def test_the_photos_of_a_source_go(box: Path) -> None:
    before = give(box)
    report = remove_photos(box, source="Mapillary", quiet=True)
    assert (report.removed, report.left) == (6, 6)
    after = opened(box)
    assert hashes(after) == {digest_of(n) for n in range(0, COUNT, 2)}
    assert after.manifest.sources == {"unknown": 6}
    kept = by_hash(after)
    assert kept.items() <= by_hash(before).items()
    assert remove_photos(box, source="unknown", quiet=True).left == 0
    assert open_reference_photos(box) is None


def test_the_photos_of_a_list_go_by_their_bytes_or_their_links(box: Path, tmp_path: Path) -> None:
    (tmp_path / "here.jpg").write_bytes(b"3")
    assert sha256_of(tmp_path / "here.jpg") == digest_of(3)
    give(box)
    header, page = ["file", "lat", "lon", "link"], "https://photos.example/"
    rows = [["here.jpg", 1, 1, ""], ["gone.jpg", 1, 1, f"{page}5"], ["gone.jpg", 1, 1, f"{page}99"]]
    listed = write_manifest(tmp_path / "takedown.csv", header, rows)
    report = remove_photos(box, photos=listed, quiet=True)
    assert (report.removed, report.left, report.not_there) == (2, COUNT - 2, 1)
    assert "1 of the list were not in the index" in report.lines[1]
    assert hashes(opened(box)) == {digest_of(n) for n in range(COUNT) if n not in (3, 5)}
    name = opened(box).manifest.name
    assert remove_photos(box, photos=listed, quiet=True).removed == 0
    assert opened(box).manifest.name == name  # nothing was written anew


def test_all_go_in_whatever_state_they_are(box: Path, capsys: Capture) -> None:
    references = give(box)
    (references.path / "ground.faiss").write_bytes(b"x")
    with pytest.raises(IndexCorruptError):
        open_reference_photos(box)
    assert main(["remove-photos", str(box), "--all"]) == 0
    assert capsys.readouterr().out == "removed all reference photos, which could not be opened\n"
    assert open_reference_photos(box) is None
    give(box)
    assert remove_photos(box, everything=True).removed == COUNT


REFUSED = [
    ([], 2, "give one of --photos, --source and --all: what to remove"),
    (["--source", "Mapilary"], 2, "no reference photo is of --source 'Mapilary'; did you mean"),
    (["--photos", "none.csv"], 1, "no photos at none.csv"),
]


@pytest.mark.parametrize(("flags", "status", "words"), REFUSED, ids=lambda v: str(v)[:20])
def test_a_removal_that_cannot_work(
    box: Path, capsys: Capture, flags: list[str], status: int, words: str
) -> None:
    argv = ["remove-photos", str(box), "--quiet", *flags]
    give(box)
    assert words in refusal(argv, capsys, status)
    remove_photos(box, everything=True)
    if "--source" in flags:
        assert "index 'box' has no reference photos to remove" in refusal(argv, capsys, 2)


def test_a_merged_index_has_the_photos_of_its_parts(box: Path, tmp_path: Path) -> None:
    crate = Path(shutil.copytree(box, tmp_path / "crate"))
    ours, theirs = give(box, 6, seed=1), give(crate, COUNT, seed=2, private=8)
    report = merge_indexes([box, crate], "both", tmp_path, quiet=True)
    both = opened(tmp_path / "both")
    assert hashes(both) == {digest_of(n) for n in (*range(6), *range(8, COUNT))}
    assert (report.carried.photos, report.carried.private) == (10, 8)
    first, second, merged = by_hash(ours), by_hash(theirs), by_hash(both)
    for n in (*range(6), *range(8, COUNT)):
        digest = digest_of(n).encode()
        assert merged[digest] == (first if n < 6 else second)[digest]
    summary = "\n".join(report.summary)
    assert "  reference photos: 10" in summary
    assert "8 private reference photos were left out" in summary


def test_an_index_that_is_merged_into_itself_keeps_private_ones(box: Path, tmp_path: Path) -> None:
    crate = Path(shutil.copytree(box, tmp_path / "crate"))
    give(box, COUNT, private=3)
    give(crate, 5)
    report = merge_indexes([box, crate], "box", tmp_path, quiet=True)
    assert (report.carried.photos, report.carried.duplicates) == (COUNT, 5)
    assert opened(box).manifest.private == 3
    report = merge_indexes([box, crate], "box", tmp_path, reference_photos=False, quiet=True)
    assert report.carried.unwanted == COUNT + 5
    assert open_reference_photos(box) is None
    assert "were left out, as asked" in "".join(report.summary)


def test_a_merge_does_not_cut_into_adding(box: Path, tmp_path: Path) -> None:
    give(box)
    build = open_index(box).path.name
    with changing(box), pytest.raises(StorageError, match="are being changed"):
        merge_indexes([box], "box", tmp_path, quiet=True)
    assert open_index(box).path.name == build


def test_old_sets_go_and_open_ones_stay(box: Path, capsys: Capture) -> None:
    first, second = give(box), give(box, seed=1)
    (box / f"{HIDDEN}dead").mkdir()
    (box / WORK).mkdir()
    argv = ["prune", str(box)]
    assert main([*argv, "--dry-run"]) == 0
    assert first.path.exists()
    capsys.readouterr()
    assert main(argv) == 0
    told = capsys.readouterr().out
    assert f"stays: a process has it open: old set of reference photos {first.path}" in told
    assert "stays: the next add-photos goes on from it; --units removes it" in told
    assert not (box / f"{HIDDEN}dead").exists()
    name = first.path
    del first
    gc.collect()
    went = prune_reference_photos(box, units=True)
    assert [leftover.paths[0] for leftover in went] == [name, box / WORK]
    assert not name.exists()
    assert not (box / WORK).exists()
    assert opened(box).path == second.path
    assert prune_reference_photos(box) == []


def test_verify_looks_at_every_file(box: Path, capsys: Capture) -> None:
    references = give(box)
    assert main(["verify-index", str(box)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for file in ("ground.faiss", "ground.duckdb", "ground.json"):
        assert any(f"{references.path / file}  " in line for line in lines), file
    assert any("12 photos of " in line for line in lines)
    assert any("12 vectors of length 1" in line for line in lines)


def test_verify_finds_a_byte_and_a_lie(box: Path) -> None:
    path = give(box).path

    def problems() -> str:
        return "; ".join(f.problem for f in check_reference_photos(box) if f.problem)

    with duckdb.connect(str(path / "ground.duckdb")) as connection:
        connection.execute("UPDATE photos SET licence = 'CC0', lat_deg = 91 WHERE row = 2")
    assert "ground.duckdb differs from what was written" in problems()
    manifest = json.loads((path / "ground.json").read_bytes())
    file = path / "ground.duckdb"
    record = {"sha256": sha256_of(file), "size_bytes": file.stat().st_size}
    manifest["files"]["ground.duckdb"] = record
    (path / "ground.json").write_text(json.dumps(manifest))
    assert "ground.json and " in problems()
    pointer = {"build": path.name, "manifest_sha256": sha256_of(path / "ground.json")}
    (box / "GROUND").write_text(json.dumps(pointer))
    assert "a photo's place is not on Earth; its rows are not those of the manifest" in problems()
    (box / "GROUND").write_text("[]")
    assert "GROUND is damaged" in problems()


def test_export_writes_them_beside_the_cells(box: Path, tmp_path: Path, capsys: Capture) -> None:
    references = give(box, private=4)
    to = tmp_path / "out" / "box.parquet"
    argv = ["export", str(box), "--to", str(to), "--quiet"]
    assert main([*argv, "--no-reference-photos"]) == 0
    assert [file.name for file in to.parent.iterdir()] == ["box.parquet"]
    capsys.readouterr()
    assert main(argv) == 0
    told = capsys.readouterr().out
    assert "box.ground.parquet: 8 reference photos" in told
    assert "4 private reference photos were left out" in told
    frame = geopandas.read_parquet(to.with_name("box.ground.parquet"))
    public = references.public_rows()
    assert set(frame["content_sha256"]) == {digest_of(n) for n in range(4, COUNT)}
    np.testing.assert_allclose(np.stack(frame["s"]), references.vectors(public), atol=1e-6)
    np.testing.assert_allclose(frame.geometry.x, references.lonlat_deg[public, 0])
    assert set(frame["licence"]) == {"CC BY-SA 4.0"}
    assert sorted(frame["attribution"]) == sorted(f"by {n}" for n in range(4, COUNT))
    assert frame.crs == "OGC:CRS84"


def test_info_tells_of_them(box: Path, capsys: Capture) -> None:
    places = give(box, private=2).manifest.places
    assert main(["info", "--index", str(box)]) == 0
    told = capsys.readouterr().out
    area_km2 = open_index(box).manifest.region["area_km2"]
    counts = f"12 reference photos of {places} places, 2 private, {12 / area_km2:.1f} a km2"
    assert counts in told
    assert "taken 2020-01-02" in told
    assert "licences CC BY-SA 4.0 (12)" in told
    assert "sources Mapillary (6), unknown (6)" in told
    (box / "GROUND").write_text("{")
    assert main(["info", "--index", str(box)]) == 0
    assert "photos   " in (told := capsys.readouterr().out)
    assert "GROUND is damaged: delete it and add the photos again" in told


ADDS = [
    (["--photos", "none.csv"], 1, "no photos at none.csv: give a folder, or a .csv or .parquet"),
    (["--photos", "README.md"], 2, "README.md is neither a folder nor a .csv, .tsv, .parquet"),
    (["--photos", "x.csv", "--index", "none"], 1, "no index 'none'"),
    (["--photos", "x.csv", "--device", "abacus"], 2, "cannot compute on --device 'abacus' here"),
    (["--photos", "x.csv", "--model", "/no/model"], 1, "no model at '/no/model'"),
]


@pytest.mark.parametrize(("flags", "status", "words"), ADDS, ids=lambda v: str(v)[:30])
def test_photos_that_cannot_be_added(
    box: Path, capsys: Capture, flags: list[str], status: int, words: str
) -> None:
    argv = ["add-photos", "--index", str(box), "--quiet", *flags]
    assert words in refusal(argv, capsys, status)


def test_adding_while_another_adds_is_refused(box: Path, tmp_path: Path, capsys: Capture) -> None:
    photos = write_manifest(tmp_path / "a.csv", ["file", "lat", "lon"], [["a.jpg", NORTH, WEST]])
    with changing(box):
        argv = ["add-photos", str(box), "--photos", str(photos), "--quiet"]
        assert "the reference photos of 'box' are being changed" in refusal(argv, capsys)
    (box / "CURRENT").unlink()
    assert "has no finished build" in refusal(argv, capsys)
