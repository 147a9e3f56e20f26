"""The page's one public endpoint, called over HTTP as any program would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_pages import RunningPage, running_page, sha256, write_photos

from indexer.geolocate import Geolocator


@pytest.fixture(scope="module")
def page(tiny_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPage]:
    with running_page(tiny_index, tmp_path_factory.mktemp("page")) as page:
        yield page


@pytest.fixture(scope="module")
def client(page: RunningPage) -> Iterator[Any]:
    from gradio_client import Client

    client = Client(page.url, verbose=False, analytics_enabled=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_photos(tmp_path_factory.mktemp("photos"))


def ask(client: Any, photo: Any, *args: Any) -> Any:
    from gradio_client import handle_file

    if isinstance(photo, Path):
        photo = handle_file(str(photo))
    return client.predict(photo, *args, api_name="/search")


def test_search_is_the_only_public_endpoint(client: Any) -> None:
    api = client.view_api(return_format="dict")
    assert list(api["named_endpoints"]) == ["/search"]
    assert api["unnamed_endpoints"] == {}
    names = [p["parameter_name"] for p in api["named_endpoints"]["/search"]["parameters"]]
    assert names == ["photo", "k", "rs_weight", "location_weight"]


def test_what_the_endpoint_answers_is_what_the_engine_answers(
    client: Any, tiny_index: Path, photos: dict[str, Path]
) -> None:
    geo = Geolocator.open("toy", indexes_dir=tiny_index)
    found = ask(client, photos["street"], 3, 0.25, 0.75)
    expected = geo.search(photos["street"], k=3, rs_weight=0.25, location_weight=0.75)
    assert found["candidates"] == list(expected.to_dict()["candidates"])
    assert found["rs_weight"] == 0.25
    assert found["trained"] is False
    assert len(ask(client, photos["street"])["candidates"]) == 5


@pytest.mark.parametrize("name", ["street", "other", "berlin"])
def test_the_engine_gets_the_file_byte_for_byte(
    name: str, client: Any, page: RunningPage, photos: dict[str, Path]
) -> None:
    ask(client, photos[name])
    assert page.seen()[-1] == sha256(photos[name])


@pytest.mark.parametrize(
    ("name", "message"),
    [("cut", "truncated"), ("notes", "not a photo"), ("drawing", "not a photo")],
)
def test_a_photo_that_cannot_be_read_is_named_in_the_error(
    name: str, message: str, client: Any, photos: dict[str, Path]
) -> None:
    with pytest.raises(Exception, match=rf"{photos[name].name} .*{message}"):
        ask(client, photos[name])


def test_a_small_file_of_169_megapixels_is_refused_without_being_decoded(
    client: Any, photos: dict[str, Path]
) -> None:
    assert photos["bomb"].stat().st_size < 30_000
    started = time.perf_counter()
    with pytest.raises(Exception, match="169,000,000 pixels"):
        ask(client, photos["bomb"])
    assert time.perf_counter() - started < 1.5


def test_arguments_that_make_no_sense_are_refused(client: Any, photos: dict[str, Path]) -> None:
    for args, message in [((0,), "k is 0"), ((10_001,), "k is 10001"), ((5, 0, 0), "weights 0")]:
        with pytest.raises(Exception, match=message):
            ask(client, photos["street"], *args)
    with pytest.raises(Exception, match="no photo was given"):
        ask(client, None)


def test_web_addresses_are_not_fetched(client: Any) -> None:
    photo = {"path": "http://127.0.0.1:9/a.jpg", "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(Exception, match="web addresses are not fetched"):
        ask(client, photo)


def test_files_of_the_server_are_not_served(client: Any, tiny_index: Path) -> None:
    path = str(tiny_index / "toy" / "CURRENT")
    assert Path(path).is_file()
    photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
    with pytest.raises(Exception):  # noqa: B017, PT011 - Gradio's own refusal
        ask(client, photo)
    assert str(path) not in str(client.config)


def test_uploads_are_private_and_go_with_the_server(
    tiny_index: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    from gradio_client import Client

    with running_page(tiny_index, tmp_path) as page:
        client = Client(page.url, verbose=False, analytics_enabled=False)
        ask(client, photos["street"])
        client.close()
        (uploads,) = tmp_path.glob("gair-uploads-*")
        assert uploads.stat().st_mode & 0o077 == 0
        assert list(uploads.rglob("street.jpg"))
    assert not uploads.exists()
