"""The JSON of answers and verdicts as Pydantic models, made from the dataclasses that they are.

Field by field with the words that stand under each field there, so that ``/openapi.json`` cannot
say anything else than the code does.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from dataclasses import fields
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="One line that names what was wrong and what to do.")


@functools.cache
def answer_model() -> type[BaseModel]:
    """The JSON of an :class:`indexer.search.answer.Answer`."""
    from indexer.search.answer import SCHEMA_VERSION, Answer, Candidate, Confidence, Membership

    parts = {part.__name__: json_model(part) for part in (Candidate, Confidence, Membership)}
    model = json_model(Answer, parts, hidden=("posterior", "make_region"))
    version = Field(description="Raised when a field changes its meaning or goes away.")
    members: dict[str, Any] = {"schema_version": (Literal[SCHEMA_VERSION], version)}
    return create_model("SearchAnswer", __base__=model, __doc__=model.__doc__, **members)


@functools.cache
def verdict_model() -> type[BaseModel]:
    """The JSON of an :class:`indexer.probability.verdicts.Verdict`."""
    from indexer.probability.verdicts import Verdict

    return json_model(Verdict, hidden=tuple(f.name for f in fields(Verdict) if not f.repr))


def json_model(
    kind: type, parts: dict[str, type[BaseModel]] | None = None, hidden: tuple[str, ...] = ()
) -> type[BaseModel]:
    """A model of the JSON of a dataclass.

    Args:
        kind: the dataclass; its type hints may name things that are imported for checking only,
            as long as those fields are hidden.
        parts: models of the dataclasses it is made of, by name.
        hidden: fields that are not in the JSON.
    """
    described = field_docstrings(kind)
    shown = [f for f in fields(kind) if f.name not in hidden]
    bare = type(kind.__name__, (), {"__annotations__": {f.name: f.type for f in shown}})
    bare.__module__ = kind.__module__
    hints = get_type_hints(bare, localns=dict(parts or {}))
    members: dict[str, Any] = {
        f.name: (hints[f.name], Field(description=described.get(f.name))) for f in shown
    }
    doc = inspect.cleandoc(kind.__doc__ or "")
    return create_model(
        kind.__name__, __config__=ConfigDict(extra="forbid"), __doc__=doc, **members
    )


def field_docstrings(kind: type) -> dict[str, str]:
    """What stands in quotes under each field of a class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for field, words in zip(body[:-1], body[1:], strict=True):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(words, ast.Expr)
            and isinstance(words.value, ast.Constant)
        ):
            found[field.target.id] = " ".join(str(words.value.value).split())
    return found
