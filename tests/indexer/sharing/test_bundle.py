"""Bundles: one file that holds an index and nothing else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from said_errors import refused
from shared_samples import content, serving, write_shared

from gair.errors import SharingError
from indexer import bundle_index, list_indexes, pull_index
from indexer.commands.cli import main


@pytest.fixture(scope="module")
def home(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("home")
    write_shared(city_tif, out)
    return out / "first" / "box"


@pytest.fixture(scope="module")
def bundle(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bundle") / "box.gair"
    bundle_index(home, file, quiet=True)
    return file


def entries(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(file: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, held in files.items():
            archive.writestr(name, held)
    return file


def test_a_bundle_and_back(home: Path, bundle: Path, tmp_path: Path) -> None:
    assert main(["index", "open", str(bundle), "--indexes", str(tmp_path), "--quiet"]) == 0
    assert content(tmp_path / "box") == content(home)
    assert list(list_indexes(bundle)) == ["box"]
    assert not pull_index(bundle, indexes_dir=tmp_path, quiet=True).changed


def test_the_same_index_makes_the_same_bundle(home: Path, bundle: Path, tmp_path: Path) -> None:
    argv = ["index", "bundle", str(home), str(tmp_path / "again.gair"), "--quiet"]
    assert main(argv) == 0
    assert (tmp_path / "again.gair").read_bytes() == bundle.read_bytes()
    assert list(entries(bundle))[:2] == ["listing.json", "README.md"]
    assert [file.name for file in tmp_path.iterdir()] == ["again.gair"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../../evil", "holds other files than it lists"),
        ("/etc/cron.d/evil", "holds other files than it lists"),
        ("more", "holds other files than it lists"),
    ],
)
def test_other_files_are_refused(bundle: Path, tmp_path: Path, name: str, says: str) -> None:
    bad = write(tmp_path / "bad.gair", {**entries(bundle), name: b"evil"})
    with refused(SharingError, says):
        pull_index(bad, indexes_dir=tmp_path / "out", quiet=True)
    assert {file.name for file in tmp_path.rglob("*")} <= {"bad.gair", "out"}


def test_compressed_files_are_refused_unread(bundle: Path, tmp_path: Path) -> None:
    """A few kilobytes may say that they are terabytes."""
    bad = write(tmp_path / "bad.gair", entries(bundle), zipfile.ZIP_DEFLATED)
    with refused(SharingError, "compressed or encrypted, which no bundle does"):
        pull_index(bad, indexes_dir=tmp_path / "out", quiet=True)


def test_a_changed_byte_is_noticed(bundle: Path, tmp_path: Path) -> None:
    held = entries(bundle)
    name = next(name for name in held if name.endswith("rs.faiss"))
    held[name] = held[name][:-1] + bytes([held[name][-1] ^ 1])
    with refused(SharingError, "is not what its listing says"):
        pull_index(write(tmp_path / "bad.gair", held), indexes_dir=tmp_path / "out", quiet=True)
    assert serving(tmp_path / "out" / "box") is None


@pytest.mark.parametrize("keep", [0, 100, 5000, -30])
def test_a_cut_bundle_is_one_line(bundle: Path, tmp_path: Path, keep: int) -> None:
    bad = tmp_path / "bad.gair"
    bad.write_bytes(bundle.read_bytes()[:keep])
    with refused(SharingError, "is no bundle of an index, or is damaged"):
        pull_index(bad, indexes_dir=tmp_path / "out", quiet=True)
