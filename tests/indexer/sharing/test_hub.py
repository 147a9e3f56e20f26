"""Indexes on the Hugging Face hub, against a small one on loopback that speaks its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, hub_asked
from said_errors import refused
from shared_samples import content, write_shared

from gair.errors import SharingError
from indexer import list_indexes, pull_index, push_index
from indexer.sharing.terms import card_of, needs_noncommercial_model, terms_lines

WHERE = "hf:acme/places"
pytestmark = pytest.mark.filterwarnings("ignore:Use .content:DeprecationWarning")
"""Of the hub's own client."""


@pytest.fixture(scope="module")
def homes(city_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("homes")
    write_shared(city_tif, out)
    return out


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_asked(monkeypatch) as hub:
        yield hub


def push(homes: Path, name: str) -> int:
    report = push_index(homes / name / "box", WHERE, token="secret", private=True, quiet=True)
    return report.moved_bytes


def test_an_index_goes_to_the_hub_and_comes_back(hub: Hub, homes: Path, tmp_path: Path) -> None:
    moved = push(homes, "first")
    repository = hub.repositories["datasets/acme/places"]
    assert repository.private
    report = pull_index(WHERE, indexes_dir=tmp_path, token="secret", quiet=True)
    assert report.moved_bytes == moved
    assert content(tmp_path / "box") == content(homes / "first" / "box")
    assert list(list_indexes(WHERE, token="secret")) == ["box"]
    assert repository.commits[-1]["README.md"].startswith(b"---\nlicense: other\n")
    files = [path for _, path, _ in hub.asked if "/resolve/" in path and "faiss" in path]
    assert all(f"/resolve/{repository.sha}/" in path for path in files)


def test_a_second_push_is_one_commit_of_what_changed(hub: Hub, homes: Path, tmp_path: Path) -> None:
    push(homes, "first")
    pull_index(WHERE, indexes_dir=tmp_path, token="secret", quiet=True)
    first = set(hub.uploads)
    hub.uploads.clear()
    moved = push(homes, "second")
    repository = hub.repositories["datasets/acme/places"]
    assert len(repository.commits) == 3  # an empty one, and two
    assert hub.uploads
    assert not first & set(hub.uploads)
    assert moved < sum(f.stat().st_size for f in (homes / "second" / "box").rglob("*"))
    pull_index(WHERE, indexes_dir=tmp_path, token="secret", quiet=True)
    assert content(tmp_path / "box") == content(homes / "second" / "box")
    old = f"{WHERE}@{2:040x}"
    pull_index(old, indexes_dir=tmp_path / "old", token="secret", quiet=True)
    assert content(tmp_path / "old" / "box") == content(homes / "first" / "box")


def test_a_push_that_was_ended_does_not_send_again(hub: Hub, homes: Path) -> None:
    hub.refused_uploads = 1
    with refused(SharingError, "hf:acme/places does not do it"):
        push(homes, "first")
    sent = set(hub.uploads)
    push(homes, "first")
    assert sent
    assert len(hub.uploads) == len(set(hub.uploads))


@pytest.mark.parametrize("token", [None, "wrong"])
def test_who_may_not_is_told(
    hub: Hub, homes: Path, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with refused(SharingError, "no such dataset repository, or it is private"):
        list_indexes(WHERE, token=token or "none")


def test_an_index_that_needs_noncommercial_weights_says_so(homes: Path) -> None:
    import dataclasses

    from indexer.sharing.listing import list_index

    listing, _ = list_index(homes / "first" / "box")
    assert not needs_noncommercial_model(listing)
    model = dataclasses.replace(listing.model, licence="CC BY-NC 4.0", trained=True)
    listing = dataclasses.replace(listing, model=model)
    assert needs_noncommercial_model(listing)
    assert any("not for commercial use" in line for line in terms_lines(listing))
    assert b"license: cc-by-nc-4.0" in card_of(listing)
