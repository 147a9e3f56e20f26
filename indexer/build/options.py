"""Options of a build: one place for Python callers and the command line.

Nothing heavy is imported, so that ``--help`` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gair.config import QueryMode
from gair.encoders.precision import WantedPrecision
from gair.fields import option

WantedIndexType = Literal["auto", "flat", "ivf-sq8", "ivf-pq"]


@dataclass(frozen=True)
class BuildOptions:
    """How to build; every default is what the paper's model expects."""

    resolution: int = option(10, metavar="R")
    """H3 resolution: 9 is cells of about 350 m, 10 of 130 m, 11 of 50 m."""
    inner_share: float = option(0.75, flags=None)
    """Share of a frame's side that cells are read from. With 12 tokens a side the outer 1.5 tokens
    on each side are left out: a point of the inner part blends only tokens whose 3 x 3
    neighbourhood lies inside the frame."""
    query_mode: QueryMode = option("nili", flags="--rs-query")
    """How a frame is read at a cell; all but nili are baselines."""
    keep_token_maps: bool = option(
        True,
        flags="--no-token-maps",
        help="do not keep the frames' token maps: a smaller index, and no answers between cells",
    )
    """Keep the frames' token maps, so that places between cell centres can be read later."""
    precision: WantedPrecision = "auto"
    """Type that the imagery encoder computes in; auto takes bfloat16 where this CPU multiplies in
    it and the model gains."""
    threads: int | None = None
    """Threads that torch computes with, in each worker of a Ray engine (default: all)."""
    force: bool = False
    """Start over: forget what interrupted builds of this index have done."""
    limit: int | None = None
    """Stop after N new units, with exit status 3; the same command goes on from there."""
    keep_units: bool = False
    """Leave the units, GeoParquet files of vectors, in .work-* beside the index."""
    frames_a_unit: int = option(100, flags="--unit-frames")
    """About the most frames of a unit, the piece that is lost when a build is killed."""
    index_type: WantedIndexType = "auto"
    """Flat scores every cell; the others score a shortlist exactly (default: auto, flat up to 2
    million cells, ivf-sq8 up to 50 million, ivf-pq above)."""
    quiet: bool = False
    """No progress."""
