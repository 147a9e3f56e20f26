"""Heat map of a photo: each cell by its cosine, by its posterior, or by its score in a search.

The last stands in for the posterior where nothing is calibrated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from gair.arrays import Floats
from gair.errors import UsageError
from indexer.ground.likelihood import GroundEvidence, GroundKernel
from indexer.probability.conformal import region_mass
from indexer.probability.open_world import EVEN, check_prior
from indexer.search.answer import NO_CONTENT, UNCALIBRATED
from indexer.search.maps.heatmap import HeatMap, What
from indexer.search.outlines import Region, make_region
from indexer.search.scored import Scored, Standing, cell_posterior, standing_of
from indexer.search.space import SearchSpace
from indexer.search.weights import SearchWeights
from indexer.search.wording import elsewhere_said

if TYPE_CHECKING:
    from indexer.search.prior import Prior

Of = Literal["imagery", "location", "ground", "posterior"]


def make_heatmap(
    space: SearchSpace,
    scored: Scored,
    of: Of = "posterior",
    *,
    prior: Prior | None = None,
    level: float = 0.9,
    elsewhere_prior: float = EVEN,
) -> HeatMap:
    """The map of a photo, or of several of one place.

    Args:
        space: the cells of an open index.
        scored: the photos, from :meth:`indexer.search.geolocator.Geolocator.every_cell`.
        of: what to show; ``ground`` is what reference photos say. Without a calibration the
            posterior is replaced by the score, weighed as in a search, and the map says so.
        prior: what is known before the photos are looked at; for the posterior only.
        level: how often the region drawn on a posterior holds the truth, between 0 and 1.
        elsewhere_prior: how likely it is, before the photos are looked at, that they were not taken
            in the index.

    Raises:
        UsageError: there is no such thing to show, or a prior is given for a cosine.
    """
    if of not in get_args(Of):
        raise UsageError(f"no map of {of!r}: choose {', '.join(get_args(Of))}")
    if prior is not None and of != "posterior":
        raise UsageError(f"a prior changes the posterior and no cosine: leave it out for {of}")
    what: What = "score" if of == "posterior" and space.calibration is None else of
    region = None
    check_prior(elsewhere_prior)
    ground = _ground(space, scored, of)
    notes: list[str] = []
    standing = None
    if space.calibration is not None:
        standing = standing_of(space, scored, elsewhere_prior, ground)
        notes += standing.cautions
        if what == "posterior":
            notes.append(f"probabilities {standing.given}; {elsewhere_said(standing.elsewhere)}")
    elif scored.shows_nothing:
        notes.append(NO_CONTENT)
    if what == "posterior" and standing is not None:
        values, best_row, region = _posterior(space, scored, prior, level, standing, ground)
    else:
        values = _scores(scored, what, space.default_weights, ground)
        if prior is not None:
            values[~np.isfinite(prior.log_weight)] = np.nan
        best_row = int(np.nanargmax(values))
    photos = ", ".join(scored.names)
    manifest = space.index.manifest
    notes += manifest.warnings
    if what == "score":
        notes += [UNCALIBRATED, f"weights: {space.default_weights.said}"]
    elif what == "posterior" and space.calibration is not None:
        notes.append(f"rests on {space.calibration.basis.said}")
        notes += space.calibration.cautions
    if prior is not None:
        notes.append(f"prior: {prior.description}")
    notes += scored.cautions
    return HeatMap(
        values=values.astype(np.float32),
        what=what,
        cells=space.index.cells,
        title=f"{photos} in {space.index.name}",
        best_row=best_row,
        region=region,
        note="; ".join(notes),
        credits={
            "index": space.index.name,
            "build": manifest.build,
            "model": manifest.model.name,
            "model_licence": manifest.model.licence,
            "runtime": space.runtime,
            "attribution": space.attribution,
        },
    )


def _ground(space: SearchSpace, scored: Scored, of: Of) -> GroundEvidence | None:
    """What reference photos say, as far as the map shows it.

    Raises:
        UsageError: the map is of them, and there are none.
    """
    if of != "ground":
        return space.ground_evidence(scored.s, scored.cosines, space.weights)
    if space.ground is None:
        raise UsageError(
            f"index {space.index.name!r} has no reference photos to make a map of: add some with "
            "python -m indexer add-photos"
        )
    return space.ground_read(scored.s, scored.cosines, GroundKernel.of(space.weights))


def _posterior(
    space: SearchSpace,
    scored: Scored,
    prior: Prior | None,
    level: float,
    standing: Standing,
    ground: GroundEvidence | None,
) -> tuple[Floats, int, Region]:
    """Probabilities, the cell with most of them around it, and the region."""
    calibration = space.calibration
    assert calibration is not None
    log_weight = None if prior is None else prior.log_weight
    p = cell_posterior(space, scored, calibration.weights, log_weight, ground)
    around = space.place_mass(p[None])[0]
    promised = prior is None and len(scored.photos) == 1 and standing.alike
    promised = promised and not calibration.doubt
    masses = calibration.masses_of(float(around.max()), guessed=standing.looks_like)
    mass = region_mass(masses, level)
    region = make_region(p, space.index.cells, level, mass, promised)
    return p, int(around.argmax()), replace(region, refused=standing.refused)


def _scores(
    scored: Scored, what: What, weights: SearchWeights, ground: GroundEvidence | None
) -> Floats:
    """(N,) mean over the photos."""
    ratios = 0.0 if ground is None else ground.log_ratios.mean(axis=0, dtype=np.float64)
    if what == "ground":
        return np.asarray(ratios)
    rs = scored.rs.mean(axis=0, dtype=np.float64)
    location = scored.location.mean(axis=0, dtype=np.float64)
    if what == "score":
        return np.asarray(weights.rs * rs + weights.location * location + weights.ground * ratios)
    return np.asarray(rs if what == "imagery" else location)
