"""JSON and YAML: what is wrong with a text is a ValueError, whatever the parser says."""

from __future__ import annotations

import pytest

from gair.inputs.documents import MOST_YAML, json_of, yaml_of


def test_texts_become_values() -> None:
    assert json_of(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    assert yaml_of("a: [1, 2.5, ~]") == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000, b"\xff", '{"a":' * 50_000])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        json_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 3000, "{a: " * 3000, "a: 2020-13-45", "a: !!int x", "a: !!timestamp x", "a: [",
        "? {a: b}\n: c", "a: !!python/object:os.system {}", "a: *b", "- " * (MOST_YAML // 2 + 1),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+") as refused:
        yaml_of(text)
    assert type(refused.value) is ValueError
    assert "\n" not in str(refused.value)
