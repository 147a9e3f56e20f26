"""Errors that a call must raise, and what their one line must say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from gair.errors import GairError


@contextlib.contextmanager
def refused(kind: type[GairError], *says: str) -> Iterator[None]:
    """The block raises an error of this kind whose text has all of these words."""
    with pytest.raises(kind) as caught:
        yield
    text = str(caught.value)
    assert "\n" not in text
    for words in says:
        assert words in text
