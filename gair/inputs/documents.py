"""JSON and YAML texts become values, and whatever is wrong with one is a :class:`ValueError`.

The parsers raise other errors, too: for a text that is nested too deeply, for one that names a day
that no calendar has.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

MOST_YAML = 1 << 16
"""Characters of a YAML text that is read: its parser takes a second for ten times as many."""

_MOST_BRACKETS = 64
"""Brackets of a YAML text that may be open at one place."""


def json_of(text: str | bytes) -> Any:  # noqa: ANN401
    """The value of a JSON text.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def refuse_constant(word: str) -> NoReturn:
    """Refuse NaN and the infinities, which are no JSON: ``parse_constant`` of its parser.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{word} is no JSON number")


def yaml_of(text: str) -> Any:  # noqa: ANN401
    """The value of a YAML text, of plain types.

    Raises:
        ValueError: it is no YAML, too long, or nested too deeply.
    """
    import yaml

    if len(text) > MOST_YAML:
        raise ValueError(f"it has {len(text):,} characters, and {MOST_YAML:,} are read")

    class Loader(yaml.SafeLoader):
        """Stops at a depth: the scanner looks ahead for seconds where thousands open."""

        def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: ANN401, N803
            if self.flow_level >= _MOST_BRACKETS:
                raise RecursionError
            super().fetch_flow_collection_start(TokenClass)

    try:
        return yaml.load(text, Loader)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except Exception as error:  # numbers and dates that look like some raise what they will
        raise ValueError(" ".join(str(error).split()) or repr(error)) from error
