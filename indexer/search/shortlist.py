"""Answers over a large index: the likely cells are found first, and only they are scored.

The answer is that of :mod:`indexer.search.ranking` over a *part* of the index, which holds

* the shortlists of the photo's vector, imagery and location, as far as they have weight;
* the neighbours of the best cells, so that sums around those are whole;
* where probabilities are asked for, a fixed random sample of all other cells, each of which stands
  for as many as were left out for it: an unbiased estimate of what the shortlist misses.

Every score of the part is exact. Where the part is the whole index, so is the answer. ``verify``,
``heatmap``, ``calibrate`` and ``evaluate`` look at every cell however long that takes.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import h3.api.numpy_int as h3
import numpy as np

from gair.arrays import Bools, Floats, Ints, Vectors
from gair.errors import UsageError
from indexer.index.table import CellRows
from indexer.regions.cell_field import BLUR_REACH, spacing_m
from indexer.search.answer import Answer
from indexer.search.prior import Prior
from indexer.search.query import Query
from indexer.search.ranking import Draft, Scored, Seen, draft_of

if TYPE_CHECKING:
    from indexer.index.index import Index
    from indexer.index.vectors import VectorStore
    from indexer.search.geolocator import Geolocator
    from indexer.search.outlines import Region


SAMPLE = 4096
"""Cells that stand for those off the shortlist."""
BEST = 500
"""Best cells whose neighbours come along, two rings or as far as likelihoods are averaged ..."""
WIDE = 3
"""... and those around which all cells come along that a confidence looks at."""
_RINGS = 2
SCORED_AT_ONCE = 2048
"""Rows in float32 at a time: 6 MB at 768 dimensions."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of an index with their exact scores."""

    rows: Ints
    """(n,) ascending."""
    rs: Vectors
    """(M, n) cosines of the imagery with M photos."""
    location: Vectors
    """(M, n) cosines of the location embeddings."""
    stands_for: Floats
    """(n,) how many cells each row stands for: 1, or more for those of the sample."""


def shortlist_draft(geo: Geolocator, seen: Seen, query: Query) -> Draft:
    """The answer about one place, but for refining it.

    Raises:
        UsageError: the prior leaves no cell.
    """
    allowed = None if query.prior is None else np.isfinite(query.prior.log_weight)
    part = find_part(geo, seen.s, query, allowed)
    if query.prior is not None:
        query = replace(
            query, prior=Prior(query.prior.log_weight[part.rows], query.prior.description)
        )
    view = part_of(geo, part)
    draft = draft_of(view, Scored(seen.photos, seen.s, part.rs, part.location), query)
    return replace(draft, answer=_in_full_rows(draft.answer, part))


def part_of(geo: Geolocator, part: Part) -> Geolocator:
    """A geolocator of these rows alone, for one answer."""
    index = geo.index
    noted = replace(index.manifest, warnings=[*index.manifest.warnings, _warning(index, part)])
    found = copy.copy(geo)
    for name in ("field", "reader"):  # these are of all cells
        found.__dict__.pop(name, None)
    found.__dict__["merge_radius_m"] = geo.merge_radius_m
    found.index = replace(index, cells=index.cells.taken(part.rows), manifest=noted)
    found.stands_for = part.stands_for
    found.discs = functools.lru_cache(4)(found._discs)
    found.blur = functools.lru_cache(4)(found._blur)
    return found


def find_part(geo: Geolocator, s: Vectors, query: Query, allowed: Bools | None) -> Part:
    """What an answer looks at.

    Args:
        geo: the whole index.
        s: (M, D) vectors of photos of one place.
        query: how cells are weighed, and whether as probabilities.
        allowed: (N,) cells that a prior leaves; None for all.
    """
    index = geo.index
    assert index.shortlists is not None
    weights = query.weights(geo.calibration)
    score_weights = query.score_weights(geo.calibration)
    found = _listed(index, s, weights, allowed)
    part = _scored(index, s, found)
    fused = weights[0] * part.rs.mean(axis=0) + weights[1] * part.location.mean(axis=0)
    best = found[np.argsort(-fused, kind="stable")[:BEST]]
    wide_m = max(geo.calibration.confidence) if score_weights and geo.calibration else 0.0
    near_m = BLUR_REACH * score_weights.spread_m if score_weights else 0.0
    # Neighbours that a prior rules out come along, too: likelihoods are averaged over them.
    around = _around(index.cells, best, near_m, wide_m)
    part = _joined(part, _scored(index, s, np.setdiff1d(around, found)))
    return _joined(part, _sampled(geo, s, part.rows, allowed)) if score_weights else part


def _listed(index: Index, s: Vectors, weights: tuple[float, float], allowed: Bools | None) -> Ints:
    """Rows of the shortlists, ascending; all that a prior leaves where those are as few."""
    lists = index.shortlists
    assert lists is not None
    left = len(index.cells) if allowed is None else int(allowed.sum())
    if not left:
        raise UsageError("the prior leaves no cell to search: loosen it")
    if left <= lists.size:
        return np.arange(len(index.cells)) if allowed is None else np.flatnonzero(allowed)
    mean = s.mean(axis=0, keepdims=True)
    kinds = zip((lists.rs, lists.location), weights, strict=True)
    rows = [kind.shortlist(mean, lists.size, allowed) for kind, weight in kinds if weight]
    found = np.unique(np.concatenate([some.ravel() for some in rows]))
    return found[found >= 0]


def _around(cells: CellRows, best: Ints, near_m: float, wide_m: float) -> Ints:
    """Rows near the best ones, which come best first."""
    step_m = spacing_m(cells.area_m2[best])
    near, wide = (max(_RINGS, int(np.ceil(reach / step_m)) + 1) for reach in (near_m, wide_m))
    rings = np.where(np.arange(len(best)) < WIDE, max(near, wide), near).tolist()
    discs = [h3.grid_disk(cells.h3[row], k) for row, k in zip(best, rings, strict=True)]
    ids = np.unique(np.concatenate(discs)).astype(np.uint64)
    row = np.minimum(np.searchsorted(cells.h3, ids), len(cells) - 1)
    return np.asarray(row[cells.h3[row] == ids])


def _sampled(geo: Geolocator, s: Vectors, taken: Ints, allowed: Bools | None) -> Part:
    """Cells that stand for all others."""
    rows, rs, location = geo.sample
    left = len(geo.index.cells) if allowed is None else int(allowed.sum())
    keep = ~np.isin(rows, taken)
    if allowed is not None:
        keep &= allowed[rows]
        taken = taken[allowed[taken]]
    count = int(keep.sum())
    each = np.full(count, (left - len(taken)) / max(count, 1))
    return Part(rows[keep], s @ rs[keep].T, s @ location[keep].T, each)


def sample_of(index: Index) -> tuple[Ints, Vectors, Vectors]:
    """Random rows, always the same, and both their vectors."""
    count = min(SAMPLE, len(index.cells))
    rows = np.sort(np.random.default_rng(0).choice(len(index.cells), count, replace=False))
    return rows, index.rs.vectors(rows), index.location.vectors(rows)


def _scored(index: Index, s: Vectors, rows: Ints) -> Part:
    """Some rows, each for itself."""

    def scores(store: VectorStore) -> Vectors:
        blocks = np.split(rows, np.arange(SCORED_AT_ONCE, len(rows), SCORED_AT_ONCE))
        return np.concatenate([s @ store.vectors(block).T for block in blocks], axis=1)

    return Part(rows, scores(index.rs), scores(index.location), np.ones(len(rows)))


def _joined(one: Part, other: Part) -> Part:
    """Both, in the order of rows."""
    rows = np.concatenate([one.rows, other.rows])
    order = np.argsort(rows, kind="stable")
    return Part(
        rows[order],
        np.concatenate([one.rs, other.rs], axis=1)[:, order],
        np.concatenate([one.location, other.location], axis=1)[:, order],
        np.concatenate([one.stands_for, other.stands_for])[order],
    )


def _warning(index: Index, part: Part) -> str:
    assert index.shortlists is not None
    own = int((part.stands_for == 1).sum())
    text = (
        f"searched by shortlist: {own:,} of {len(index.cells):,} cells were scored "
        f"({index.shortlists.description})"
    )
    sample = len(part.rows) - own
    if not sample:
        return text
    return f"{text}; for probabilities and regions {sample:,} more stand for all others"


def _in_full_rows(answer: Answer, part: Part) -> Answer:
    """With rows of the whole index instead of the part's."""
    made = answer.make_region

    def region(level: float) -> Region:
        assert made is not None
        found = made(level)
        return replace(found, rows=part.rows[found.rows])

    candidates = tuple(replace(c, row=int(part.rows[c.row])) for c in answer.candidates)
    changes: dict[str, Any] = {"candidates": candidates, "posterior": None}
    return replace(answer, **changes, make_region=None if made is None else region)
