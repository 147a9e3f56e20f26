"""Types and bounds that fields state, and values that are held against them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import pytest

from gair.errors import ModelError
from gair.inputs.field_checks import Length, Range, check_fields, shown, tuples_of_lists


@dataclass(frozen=True)
class Facts:
    """One field of each kind."""

    count: Annotated[int, Range(0, 10)] = 1
    share: Annotated[float, Range(0, 1)] = 0.5
    any_number: float = 0.0
    name: Annotated[str, Length(1, 8)] = "a"
    kind: Literal["fast", "exact"] = "fast"
    on: bool = False
    weight: Annotated[float, Range(0, 1)] | None = None
    widths: Annotated[tuple[Annotated[int, Range(1, 9)], ...], Length(0, 3)] = ()
    pair: tuple[float, str] = (1.0, "b")
    files: dict[str, int] | None = None
    lines: list[str] | None = None
    anything: Any = None


GOOD: dict[str, list[Any]] = {
    "count": [0, 10],
    "share": [0, 1, 0.25],
    "any_number": [-1e308, 10**300],
    "name": ["12345678"],
    "kind": ["exact"],
    "on": [True],
    "weight": [None, 0.0, 1],
    "widths": [(), (1, 9, 3)],
    "pair": [(2, "")],
    "files": [{}, {"a": 1}],
    "lines": [["x", ""]],
    "anything": [object(), math.nan],
}
BAD: dict[str, list[Any]] = {
    "count": [-1, 11, 1.0, True, "1", None, math.nan, 10**400],
    "share": [-0.1, 1.1, math.nan, math.inf, True, "0.5", None, 10**400, [0.5]],
    "any_number": [math.nan, math.inf, -math.inf, False],
    "name": ["", "123456789", 1, None, b"a"],
    "kind": ["slow", "", None, 1, ["fast"]],
    "on": [1, 0, "true", None],
    "weight": [1.5, math.nan, "x"],
    "widths": [(0,), (1, 2, 3, 4), [1], (1.0,), (True,), 1, "1"],
    "pair": [(1.0,), (1.0, "b", "c"), ("b", 1.0), ()],
    "files": [{1: 1}, {"a": "b"}, [], "x"],
    "lines": ["x", [1], ("x",)],
}


def test_what_fits_passes() -> None:
    for name, values in GOOD.items():
        for value in values:
            check_fields(replace(Facts(), **{name: value}), ModelError)


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_is_refused_by_name_and_value(name: str) -> None:
    for value in BAD[name]:
        with pytest.raises(ModelError, match=rf"^`{name}` is .+: it must be .+") as refused:
            check_fields(replace(Facts(), **{name: value}), ModelError)
        assert len(str(refused.value)) < 250


def test_an_error_says_what_may_stand_there() -> None:
    for name, value, told in [
        ("count", 11, "`count` is 11: it must be a whole number from 0 to 10"),
        ("weight", 2.0, "`weight` is 2.0: it must be a number from 0 to 1 or nothing"),
        ("kind", "slow", "`kind` is 'slow': it must be one of fast, exact"),
        ("widths", 1, "`widths` is 1: it must be a list of at most 3, each a whole number from"),
        ("pair", (), "`pair` is (): it must be a list of 2: a number, text"),
        ("name", "", "`name` is '': it must be text of 1 to 8 characters"),
    ]:
        with pytest.raises(ModelError) as refused:
            check_fields(replace(Facts(), **{name: value}), ModelError)
        assert str(refused.value).startswith(told)
    with pytest.raises(ModelError, match="^a.json: count is -1: it must be"):
        check_fields(Facts(count=-1), ModelError, where="a.json: ")


def test_lists_become_tuples_where_the_field_holds_one() -> None:
    values = {"widths": [1, 2], "lines": ["x"], "pair": [1.0, "b"], "unknown": [1]}
    assert tuples_of_lists(Facts, values) == {**values, "widths": (1, 2), "pair": (1.0, "b")}


def test_a_value_is_shown_on_a_short_line() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in ("x" * 10**6, [0] * 10**6, deep, 10**400, 10**9999, {"a": {"b": [1, 2]}}, "a\nb"):
        assert len(shown(value)) < 200
        assert "\n" not in shown(value)
