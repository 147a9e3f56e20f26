"""Shortlists of a large index: the likely cells are found first, and only they are scored.

The answer is that of :mod:`indexer.search.ranking` over a *part* of the index, which holds

* the shortlists of the photo's vector, imagery and location, as far as they have weight, and the
  cells of the reference photos most like it;
* the neighbours of the best cells, so that sums around those are whole;
* where probabilities are asked for, a fixed random sample of all other cells, each of which stands
  for as many as were left out for it: an unbiased estimate of what the shortlist misses.

Every score of the part is exact. Where the part is the whole index, so is the answer. Regions drawn
from a sample are not what they should be: those of 90 % held the truth in 74 %. So where
probabilities are asked for, every cell is scored after all (:func:`looks_at_all`), which is one
matrix product a photo. Where the index is too large for that, or its vectors lie elsewhere, regions
are not promised. ``verify``, ``heatmap``, ``calibrate`` and ``evaluate`` look at every cell however
long that takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import h3.api.numpy_int as h3
import numpy as np

from gair.arrays import Bools, Floats, Ints, Vectors
from gair.errors import UsageError
from indexer.ground.likelihood import GroundKernel
from indexer.index.table import CellRows
from indexer.probability.cautions import Caution
from indexer.regions.cell_field import BLUR_REACH, spacing_m
from indexer.search.answer import Answer
from indexer.search.prior import Prior
from indexer.search.query import Query
from indexer.search.ranking import Draft, draft_of
from indexer.search.scored import Scored, Seen
from indexer.search.space import SearchSpace

if TYPE_CHECKING:
    from indexer.index.index import Index


BEST = 500
"""Best cells whose neighbours come along, two rings or as far as likelihoods are averaged ..."""
WIDE = 3
"""... and those around which all cells come along that a confidence looks at."""
MOST_ENTRIES = 400_000_000
"""Cells times the neighbours that sums look at, up to which every cell is scored for probabilities:
5 GB of sparse matrices."""
_RINGS = 2


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


def looks_at_all(space: SearchSpace, query: Query) -> bool:
    """Whether every cell of an index with shortlists is scored all the same: for probabilities."""
    weights, lists = query.score_weights(space.calibration), space.index.shortlists
    if weights is None or lists is None or not lists.local:
        return False
    area_m2 = space.index.cells.area_m2
    radius_m = space.merge_radius_m if query.merge_radius_m is None else query.merge_radius_m
    reach_m = max(BLUR_REACH * weights.spread_m, radius_m)
    return len(area_m2) * max(1.0, np.pi * reach_m**2 / float(area_m2.mean())) <= MOST_ENTRIES


def shortlist_draft(space: SearchSpace, seen: Seen, query: Query) -> Draft:
    """The answer about one place, but for refining it.

    Raises:
        UsageError: the prior leaves no cell.
    """
    allowed = None if query.prior is None else np.isfinite(query.prior.log_weight)
    part = find_part(space, seen.s, query, allowed)
    if query.prior is not None:
        query = replace(
            query, prior=Prior(query.prior.log_weight[part.rows], query.prior.description)
        )
    view = space.part(part.rows, part.stands_for, _warning(space.index, part))
    scored = Scored.of(seen, part.rs, part.location)
    draft = draft_of(view, scored, query)
    return replace(draft, answer=_in_full_rows(draft.answer, part))


def find_part(space: SearchSpace, s: Vectors, query: Query, allowed: Bools | None) -> Part:
    """The rows that an answer looks at.

    Args:
        space: the whole index.
        s: (M, D) vectors of photos of one place.
        query: how cells are weighed, and whether as probabilities.
        allowed: (N,) cells that a prior leaves; None for all.
    """
    index, calibration = space.index, space.calibration
    weights = query.weights(space)
    score_weights = query.score_weights(calibration)
    listed = _listed(index, s, (weights.rs, weights.location), allowed)
    listed = np.union1d(listed, _beside_photos(space, s, weights.ground, allowed))
    part = _scored(space, s, listed)
    fused = weights.rs * part.rs.mean(axis=0) + weights.location * part.location.mean(axis=0)
    if space.ground is not None and weights.ground:
        kernel = GroundKernel.of(space.weights)
        of_part = space.ground.part(listed, index.cells.lonlat_deg[listed])
        likely = kernel.likely(part.rs, part.location, index.cells.area_m2[listed])
        ratios = of_part.evidence(s, kernel, likely=likely).log_ratios
        fused = fused + weights.ground * ratios.mean(axis=0)
    best = listed[np.argsort(-fused, kind="stable")[:BEST]]
    wide_m = near_m = 0.0
    if score_weights is not None and calibration is not None:
        # Confidences look around the refined point, which a merge radius away from the cell is as
        # far as it gets. One of the user's own may be that of the whole Earth.
        refined_m = max(space.merge_radius_m, query.merge_radius_m or 0.0)
        wide_m = max(calibration.radii_m)
        wide_m += min(refined_m, wide_m)
        near_m = BLUR_REACH * score_weights.spread_m
    # Neighbours that a prior rules out come along, too: likelihoods are averaged over them.
    around = _around(index.cells, best, near_m, wide_m)
    part = _joined(part, _scored(space, s, np.setdiff1d(around, listed)))
    return _joined(part, _sampled(space, s, part.rows, allowed)) if score_weights else part


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
    listed = np.unique(np.concatenate([of_kind.ravel() for of_kind in rows]))
    return listed[listed >= 0]


def _beside_photos(space: SearchSpace, s: Vectors, weight: float, allowed: Bools | None) -> Ints:
    """Rows of the cells with the reference photos that look most like the photos."""
    if space.ground is None or not weight:
        return np.empty(0, dtype=np.int64)
    alike = [one.rows for one in space.ground.comparison.likenesses(s)]
    places = space.ground.comparison.exemplars.lonlat_deg[np.unique(np.concatenate(alike))]
    rows = np.unique(space.cell_row(places))
    return rows[(rows >= 0) & (True if allowed is None else allowed[rows])]


def _around(cells: CellRows, best: Ints, near_m: float, wide_m: float) -> Ints:
    """Rows near the best ones, which come best first."""
    step_m = spacing_m(cells.area_m2[best])
    near, wide = (max(_RINGS, int(np.ceil(reach / step_m)) + 1) for reach in (near_m, wide_m))
    # Rings of hexagons around each cell; k rings reach about k cells' distances.
    rings = np.where(np.arange(len(best)) < WIDE, max(near, wide), near).tolist()
    discs = [h3.grid_disk(cells.h3[row], k) for row, k in zip(best, rings, strict=True)]
    rows = cells.rows_of(np.unique(np.concatenate(discs)).astype(np.uint64))
    return rows[rows >= 0]


def _sampled(space: SearchSpace, s: Vectors, taken: Ints, allowed: Bools | None) -> Part:
    """Cells that stand for all others."""
    rows, rs, location = space.sample
    left = len(space.index.cells) if allowed is None else int(allowed.sum())
    keep = ~np.isin(rows, taken)
    if allowed is not None:
        keep &= allowed[rows]
        taken = taken[allowed[taken]]
    count = int(keep.sum())
    # All that is left and not taken, shared out evenly: sums over the sample are then unbiased.
    each = np.full(count, (left - len(taken)) / max(count, 1))
    return Part(rows[keep], s @ rs[keep].T, s @ location[keep].T, each)


def _scored(space: SearchSpace, s: Vectors, rows: Ints) -> Part:
    """Some rows, each for itself."""
    return Part(rows, *space.scores(s, rows), np.ones(len(rows)))


def _joined(part: Part, other: Part) -> Part:
    """Both, in the order of rows."""
    rows = np.concatenate([part.rows, other.rows])
    order = np.argsort(rows, kind="stable")
    return Part(
        rows[order],
        np.concatenate([part.rs, other.rs], axis=1)[:, order],
        np.concatenate([part.location, other.location], axis=1)[:, order],
        np.concatenate([part.stands_for, other.stands_for])[order],
    )


def _warning(index: Index, part: Part) -> Caution:
    assert index.shortlists is not None
    own = int((part.stands_for == 1).sum())
    text = (
        f"searched by shortlist: {own:,} of {len(index.cells):,} cells were scored "
        f"({index.shortlists.description})"
    )
    sample = len(part.rows) - own
    if not sample:
        return Caution(text, "shortlist")
    return Caution(
        f"{text}; for probabilities {sample:,} more stand for all others, so regions are drawn "
        "from some of the cells and promise nothing",
        "shortlist",
    )


def _in_full_rows(answer: Answer, part: Part) -> Answer:
    """With rows of the whole index instead of the part's."""
    candidates = tuple(replace(c, row=int(part.rows[c.row])) for c in answer.candidates)
    changes: dict[str, Any] = {"candidates": candidates, "posterior": None}
    if answer.decided_region is not None:
        rows = part.rows[answer.decided_region.rows]
        changes["decided_region"] = replace(answer.decided_region, rows=rows)
    if answer.make_region is not None:
        changes["make_region"] = replace(answer.make_region, rows=part.rows)
    return replace(answer, **changes)
