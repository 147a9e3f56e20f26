"""JSON bodies as programs send them, read and checked before anything else looks at them."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from gair.inputs.documents import refuse_constant

DEEPEST = 64
"""Lists and objects inside one another; the deepest question of ours has seven."""

AnyModel = TypeVar("AnyModel", bound=BaseModel)


def read_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """The value of a JSON text.

    Raises:
        HTTPException: it is none (400), holds NaN, an infinity or half a character, or is nested
            too deeply.
    """
    try:
        value = json.loads(body, parse_constant=refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # ValueError: numbers of 5,000 digits, too
        raise HTTPException(400, "the body is no JSON") from error
    if is_deeper(value, DEEPEST):
        raise HTTPException(400, f"the body is nested deeper than {DEEPEST} lists and objects")
    if b"\\u" in body and not _is_text(value):
        raise HTTPException(400, "the body holds half a character, such as \\ud800 by itself")
    return value


def is_deeper(value: Any, most: int) -> bool:  # noqa: ANN401 - any JSON
    """Whether lists and objects lie more than so many deep inside one another."""
    level = [value]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, list | dict)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def checked(model: type[AnyModel], value: Any) -> AnyModel:  # noqa: ANN401 - any JSON
    """A value as a model of it.

    Raises:
        HTTPException: it is no such thing (422); one line names the first thing wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:60] or "the body"
        raise HTTPException(422, f"{where}: {first['msg']}") from error


def _is_text(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether it could be sent back: JSON may escape halves of characters, UTF-8 has none."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large a number")
    return number
