"""What several commands accept; it needs nothing heavy, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

NUMBER_FLAGS = ("--bbox", "--at")
"""Flags whose value is a list of numbers, of which the first may be negative."""


def numbers_joined(argv: Sequence[str]) -> list[str]:
    """``--bbox -1,2,3,4`` as ``--bbox=-1,2,3,4``: argparse takes the former for a flag."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in NUMBER_FLAGS:
            joined[-1] = f"{joined[-1]}={word}"
        else:
            joined.append(word)
    return joined


def add_index_choice(parser: Any, *, positional: bool = False) -> None:  # noqa: ANN401
    """The flags that say which index; ``positional`` takes it without a flag, too."""
    if positional:
        parser.add_argument(
            "index",
            nargs="?",
            default=argparse.SUPPRESS,
            metavar="INDEX",
            help="the same as --index",
        )
    parser.add_argument(
        "--index", metavar="NAME", help="name or folder (default: the only one there is)"
    )
    parser.add_argument("--indexes", default="indexes", metavar="DIR", help="folder of all indexes")


def add_model_choice(parser: Any) -> None:  # noqa: ANN401
    """The flag for a model that is not where the index says."""
    parser.add_argument("--model", metavar="MODEL", help="where the index's model is now")


def add_index_type(parser: Any) -> None:  # noqa: ANN401
    """The flag that overrides the choice of an index type by size."""
    parser.add_argument(
        "--index-type",
        choices=("auto", "flat", "ivf-sq8", "ivf-pq"),
        default="auto",
        help="flat scores every cell; the others score a shortlist exactly (default: auto, flat "
        "up to 2 million cells, ivf-sq8 up to 50 million, ivf-pq above)",
    )
