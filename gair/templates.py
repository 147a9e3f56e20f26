"""Environment of templates: every value is escaped, and one that is missing is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension

_BESIDE_A_TAG = re.compile(r"(?<=[>}])\s*\n\s*|\s*\n\s*(?=[<{])")
_BREAK = re.compile(r"\s*\n\s*")


class _JoinLines(Extension):
    """Joins the lines of a template, so that its indentation is no part of the document.

    As in JSX, a break beside a tag, a value or a statement vanishes and one between words is a
    space. A space that is to be seen beside a tag stands inside a line. Style sheets stay as they
    are.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source of a template in one line."""
        if name is not None and name.endswith(".css"):
            return source
        return _BREAK.sub(" ", _BESIDE_A_TAG.sub("", source.strip()))


def environment(
    *folders: Path,
    functions: Mapping[str, Callable[..., Any]],
    tests: Mapping[str, Callable[..., bool]] | None = None,
) -> Environment:
    """An environment for the templates of a package.

    Args:
        folders: Where templates, and what they include, are looked for.
        functions: What templates may call or use as filters, by name.
        tests: Functions that they may use after ``is``, by name.
    """
    made = Environment(
        loader=FileSystemLoader(folders),
        extensions=[_JoinLines],
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    made.globals |= functions
    made.filters |= {"number": format, **functions}
    made.tests |= tests or {}
    return made
