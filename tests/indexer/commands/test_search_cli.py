"""``search`` at the command line: answers as they come, and none of them kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_builds import tiny_model
from toy_city import photo

from gair.errors import PhotoError
from indexer.commands.cli import main
from indexer.commands.search import Search, _printed, answer_lines
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
    assert _printed(results(), names, Search(photos=names, json=as_json)) == 1
    printed.append(capsys.readouterr().out)
    if as_json:
        told = json.loads("".join(printed))
        assert told[0] == told[2] == json.loads(json.dumps(answer.to_dict()))
        assert json.loads(printed[0] + "]") == told[:1]
        assert told[1] == {"photo": "b.jpg", "error": "b.jpg is empty"}
    else:
        text = "\n".join(answer_lines(answer)) + "\n"
        assert printed == [text, "", text]


def test_a_list_that_was_stopped_can_still_be_read(
    answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    def results() -> Iterator[Answer | PhotoError]:
        yield answer
        raise KeyboardInterrupt

    names = ("a.jpg", "b.jpg")
    with pytest.raises(KeyboardInterrupt):
        _printed(results(), names, Search(photos=names, json=True))
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_geojson_of_several_answers_is_refused_before_the_work(
    tiny_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "where.geojson"
    argv = ["search", "a.jpg", "b.jpg", "--indexes", str(tiny_index), "--geojson", str(file)]
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith("error: --geojson is for one answer")
    assert not file.exists()
