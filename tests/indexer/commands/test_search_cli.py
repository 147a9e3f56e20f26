"""``search`` at the command line: answers as they come, and none of them kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from small_builds import tiny_model
from toy_city import photo

from gair.errors import PhotoError
from gair.photos.photo import UnreadPhoto
from gair.photos.sun import Sun
from indexer.commands.cli import main
from indexer.commands.search import Search, _printed, answer_lines, sun_lines
from indexer.search.answer import Answer
from indexer.search.geolocator import Geolocator


@pytest.fixture(scope="module")
def answer(tiny_index: Path) -> Answer:
    return Geolocator.open("toy", indexes_dir=tiny_index, model=tiny_model()).search(photo(1))


@pytest.mark.parametrize("as_json", [False, True])
def test_an_answer_is_printed_before_the_next_one_is_made(
    answer: Answer, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []

    def results() -> Iterator[Answer | PhotoError]:
        yield answer
        printed.append(capsys.readouterr().out)
        yield PhotoError("b.jpg is empty")
        printed.append(capsys.readouterr().out)
        yield answer

    names = ("a.jpg", "b.jpg", "c.jpg")
    unread = [UnreadPhoto(Path(name), name) for name in names]
    assert _printed(results(), unread, Search(photos=names, json=as_json)) == 1
    printed.append(capsys.readouterr().out)
    if as_json:
        told = json.loads("".join(printed))
        assert told[0] == told[2] == json.loads(json.dumps(answer.to_dict()))
        assert json.loads(printed[0] + "]") == told[:1]
        assert told[1] == {"photo": "b.jpg", "error": "b.jpg is empty"}
    else:
        text = "\n".join([*answer_lines(answer), *sun_lines(answer)]) + "\n"
        assert printed == [text, "", text]


def test_a_list_that_was_stopped_can_still_be_read(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    def results() -> Iterator[Answer | PhotoError]:
        yield answer
        raise KeyboardInterrupt

    names = ("a.jpg", "b.jpg")
    unread = [UnreadPhoto(Path(name), name) for name in names]
    with pytest.raises(KeyboardInterrupt):
        _printed(results(), unread, Search(photos=names, json=True))
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_geojson_of_several_answers_is_refused_before_the_work(
    tiny_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "where.geojson"
    argv = ["search", "a.jpg", "b.jpg", "--indexes", str(tiny_index), "--geojson", str(file)]
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith("error: --geojson is for one answer")
    assert not file.exists()


def test_the_sun_is_told_by_the_files_time_or_a_typed_one(
    tiny_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0x9003: "2024:06:20 13:02:00", 0x9011: "+01:00"}
    photo(seed=3).save(tmp_path / "dated.jpg", exif=exif)
    exif[0x8769] = {0x9003: "2024:06:20 13:02:00"}
    photo(seed=3).save(tmp_path / "local.jpg", exif=exif)
    photo(seed=3).save(tmp_path / "undated.jpg")
    argv = ["search", "--indexes", str(tiny_index), "--index", "toy", "-k", "2", "--quiet"]
    files = [str(tmp_path / f"{name}.jpg") for name in ("dated", "local", "undated")]
    assert main([*argv, *files]) == 0
    told = capsys.readouterr().out
    assert told.count("  taken 2024-06-20 12:02 UTC\n") == 1
    assert told.count("  place 1: sun in the south (") == told.count("place 2: sun in the ") == 1
    assert "  sun: the photo says its time of day, but not its offset from UTC; --taken-at" in told
    assert "  sun: the photo does not say when it was taken; --taken-at" in told
    assert main([*argv, *files, "--json"]) == 0
    dated, local, undated = (one["sun"] for one in json.loads(capsys.readouterr().out))
    assert (dated["at_utc"], dated["reason"]) == ("2024-06-20T12:02:00Z", None)
    words = [Sun(**place).said for place in dated["places"]]
    assert [f"  place {n}: {said}\n" in told for n, said in enumerate(words, 1)] == [True] * 2
    assert local == {"at_utc": None, "reason": "no_offset", "places": []}
    assert undated == {"at_utc": None, "reason": "no_time", "places": []}
    assert main([*argv, files[1], "--taken-at", "2024-06-20T05:00Z"]) == 0
    assert "  place 1: sun in the north-east (" in capsys.readouterr().out
    assert main([*argv, "nowhere.jpg", "--taken-at", "noon"]) == 2
    assert capsys.readouterr().err.startswith("error: 'noon' is no time: write date, time and")


def test_several_indexes_are_asked_and_named(
    tiny_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from indexer import cut_index, search
    from indexer.regions.region import region_from_bbox

    half = region_from_bbox((-0.14, 51.48, -0.11, 51.53), "half")
    cut_index(tiny_index / "toy", half, "half", tmp_path, quiet=True)
    photo(seed=3).save(tmp_path / "a.jpg")
    photo(seed=4).save(tmp_path / "b.jpg")
    indexes = ["--index", str(tiny_index / "toy"), "--index", str(tmp_path / "half")]
    photos = [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]
    assert main(["search", *photos, *indexes, "--json", "--quiet"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert [answer["index"] for answer in answers] == ["toy", "toy", "half", "half"]
    names = [tiny_index / "toy", tmp_path / "half"]
    with open(photos[0], "rb") as opened:
        results = [search(photos[0], index=names), search(opened, index=names)]
    for of_toy, of_half in results:
        assert of_toy.candidates[0].h3_cell == answers[0]["candidates"][0]["h3_cell"]
        assert of_half.candidates[0].h3_cell == answers[2]["candidates"][0]["h3_cell"]
    assert main(["search", *photos, *indexes, "--same-place", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    argv = ["search", photos[0], *indexes, "--geojson", str(tmp_path / "x.geojson")]
    assert main(argv) == 2
    assert "name one index and one photo" in capsys.readouterr().err
