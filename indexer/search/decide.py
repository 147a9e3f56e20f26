"""Decision of a search: what the rule that was asked for says of the best guess that is shown.

The rule is learnt (:mod:`indexer.probability.decisions`) on single photos, without a prior, and on
the points that a search shows by itself. Of everything else it says nothing, and why.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gair.arrays import Floats
from gair.errors import UsageError
from indexer.probability.calibration import AGAIN
from indexer.probability.decisions import Rule, learn_rule
from indexer.search.answer import Answer
from indexer.search.outlines import make_region
from indexer.search.query import Query
from indexer.search.scored import Seen, why_not
from indexer.search.space import SearchSpace


def check_decidable(space: SearchSpace, query: Query) -> None:
    """Refuse to decide without the probabilities, or the held-out places, that it takes.

    Raises:
        UsageError: the query asks for a decision, and they are not there.
    """
    if query.max_error_rate is None:
        return
    name, calibration = space.index.name, space.calibration
    if calibration is None or query.score_weights(calibration) is None:
        raise UsageError(
            f"`max_error_rate` needs the probabilities of a calibrated index, and {name!r} gives "
            "none: python -m indexer calibrate, and leave own weights out"
        )
    if calibration.trials is None:
        raise UsageError(
            f"`max_error_rate`: the calibration of index {name!r} is older than decisions: {AGAIN}"
        )


def decider(
    space: SearchSpace, seen: Seen, query: Query, p: Floats, answer: Answer
) -> Callable[[Answer], Answer] | None:
    """What adds the decision to an answer with its final points; None where nobody asks for one.

    Args:
        space: of a calibrated index with trials.
        seen: the photos of the one place.
        query: as it was asked.
        p: (N,) posterior.
        answer: with its membership.
    """
    if query.max_error_rate is None or not answer.candidates:
        return None
    assert space.calibration is not None
    assert space.calibration.trials is not None
    rule = learn_rule(space.calibration.trials, query.max_error_rate, query.within_m)
    bare = not query.refine and space.reader is not None
    reasons = {
        str(why): True for why in why_not(answer.membership, answer.unlike, seen.shows_nothing)
    }
    reasons |= {
        "a prior was given, and the rule was learnt without one": query.prior is not None,
        "several photos were given, and the rule was learnt on single ones": len(seen.photos) > 1,
        "a merge radius was given, and the rule was learnt without": query.merge_radius_m
        is not None,
        "the rule was learnt on refined points: leave refining on": bare,
        "the rule was learnt on refined points, which need the runtime torch": space.lacks_decoder
        and bool(space.calibration.refined_confidence),
        "the index is too large to look at every cell": space.sampled,
    }
    against = [reason for reason, holds in reasons.items() if holds]
    if doubt := space.calibration.doubt:
        against.append(doubt)
    return functools.partial(_decided, space, p, rule, "; ".join(against))


def _decided(space: SearchSpace, p: Floats, rule: Rule, against: str, answer: Answer) -> Answer:
    if against:
        none = rule.none(f"no answer of which at most so many are wrong: {against}")
        return replace(answer, decision=none)
    best = np.array([answer.candidates[0].shown_lonlat_deg])
    decision = rule.decide(space.masses_within(p[None], best, rule.radii_m)[0])
    if decision.radius_m is not None or decision.mass is None:
        return replace(answer, decision=decision)
    level = 1 - rule.max_error_rate
    region = make_region(p, space.index.cells, level, decision.mass, promised=True)
    decision = replace(decision, region=region.summary())
    return replace(answer, decision=decision, decided_region=region)
