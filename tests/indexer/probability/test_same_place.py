"""Several photos of one place: their regions keep the promise of single ones, however alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from gair.arrays import Floats, Ints
from indexer.probability.conformal import conformal_mass, mass_to_reach
from indexer.probability.posterior import map_correlation, posterior, same_place, shared_by

SIDE = 24
"""Cells along the side of a square city; they are 100 m apart."""
DIM = 48
PHOTOS = 6
PLACES = 600
AREA = np.ones(SIDE**2)
LOG_PRIOR = np.log(AREA / AREA.sum())


def smooth(field: Floats, cells: float) -> Floats:
    """(SIDE, SIDE, D) noise averaged over a Gaussian neighbourhood of some cells; deviation 1."""
    at = np.arange(SIDE)
    kernel = np.exp(-0.5 * ((at[:, None] - at) / cells) ** 2)
    out = np.einsum("ai,bj,ijd->abd", kernel, kernel, field)
    return np.asarray(out / out.std())


@dataclass(frozen=True)
class City:
    """What the imagery shows of each cell, and what is really there."""

    seen: Floats
    """(N, D)."""
    real: Floats
    """(N, D): differs by errors that all photos of a cell share."""

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> City:
        seen = smooth(rng.normal(size=(SIDE, SIDE, DIM)), 1.0)
        wrong = smooth(rng.normal(size=(SIDE, SIDE, DIM)), 0.7)
        return cls(*(x.reshape(SIDE**2, DIM) for x in (seen, seen + 0.9 * wrong)))

    def scores(self, rows: Ints, looks: Floats) -> Floats:
        """(P, N) of photos at (P,) cells, (P, D) is what each shows by chance."""
        s = self.real[rows] + looks
        return np.asarray(s @ self.seen.T / DIM - (self.seen**2).sum(axis=1) / (2 * DIM))


def looks(kind: str, rng: np.random.Generator) -> Floats:
    """(PHOTOS, D) chance of the photos of one place."""

    def draw(n: int) -> Floats:
        return rng.normal(size=(n, DIM))

    if kind == "identical":
        return np.repeat(2.5 * draw(1), PHOTOS, axis=0)
    if kind == "frames 5 m apart":
        return 2.45 * draw(1) + 0.5 * draw(PHOTOS)
    if kind == "headings":
        return 1.2 * draw(1) + 2.2 * draw(PHOTOS)
    return 2.5 * draw(PHOTOS)


def photo_rows(kind: str, rng: np.random.Generator) -> Ints:
    """(PHOTOS,) cells; the truth is the first one."""
    row, column = rng.integers(2, SIDE - 2, 2)
    if kind != "places 100 m apart":
        return np.full(PHOTOS, row * SIDE + column)
    steps = np.array([(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (1, 1)])
    return np.asarray((row + steps[:, 0]) * SIDE + column + steps[:, 1])


KINDS = ("identical", "frames 5 m apart", "headings", "places 100 m apart")


def sharpness(scores: Floats, truth: Ints) -> float:
    """The weight under which single photos' true cells are most probable."""
    tried = np.geomspace(0.5, 60, 60)
    own = np.arange(len(truth))
    nll = [-np.log(posterior(w * scores, LOG_PRIOR)[own, truth]).mean() for w in tried]
    return float(tried[int(np.argmin(nll))])


@pytest.fixture(scope="module")
def covered() -> dict[str, dict[str, float]]:
    """Share of places that 90 % regions hold, by kind of photos and by rule."""
    rng = np.random.default_rng(5)
    city = City.drawn(rng)

    def single(n: int) -> tuple[Floats, Ints]:
        rows = rng.integers(0, SIDE**2, n)
        return city.scores(rows, 2.5 * rng.normal(size=(n, DIM))), rows

    fitted, truth = single(400)
    weight = sharpness(fitted, truth)
    held, truth = single(1000)
    mass = conformal_mass(mass_to_reach(posterior(weight * held, LOG_PRIOR), AREA, truth), 0.9)
    out: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        inside = dict.fromkeys(("this", "independent", "power", "alone"), 0)
        for _ in range(PLACES):
            rows = photo_rows(kind, rng)
            maps = weight * city.scores(rows, looks(kind, rng))
            divisors = {"this": shared_by(maps, LOG_PRIOR), "independent": 1.0}
            divisors |= {"power": PHOTOS**0.7}
            ps = {k: posterior(same_place(maps, d), LOG_PRIOR) for k, d in divisors.items()}
            ps["alone"] = posterior(maps[:1], LOG_PRIOR)
            for rule, p in ps.items():
                inside[rule] += bool(mass_to_reach(p, AREA, rows[:1])[0] <= mass)
        out[kind] = {rule: count / PLACES for rule, count in inside.items()}
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_regions_of_several_photos_hold_what_they_say(
    covered: dict[str, dict[str, float]], kind: str
) -> None:
    # 600 places: the share of a rule that holds 90 % is above 87 % but once in a hundred times.
    assert covered[kind]["this"] >= 0.87


def test_photos_taken_as_independent_do_not(covered: dict[str, dict[str, float]]) -> None:
    assert all(of_kind["independent"] < 0.8 for of_kind in covered.values())
    assert covered["identical"]["power"] < 0.87
    assert covered["frames 5 m apart"]["power"] < 0.87


def test_copies_change_nothing(covered: dict[str, dict[str, float]]) -> None:
    assert covered["identical"]["this"] == covered["identical"]["alone"]


def slow_correlation(maps: Floats, share: Floats) -> float:
    """Pair by pair, cell by cell."""
    total, pairs = 0.0, 0
    for a in range(len(maps)):
        for b in range(a):
            means = [sum(w * x for w, x in zip(share, maps[m], strict=True)) for m in (a, b)]
            of = [maps[m] - mean for m, mean in zip((a, b), means, strict=True)]
            together, first, second = (
                sum(share * of[i] * of[j]) for i, j in ((0, 1), (0, 0), (1, 1))
            )
            total += together / np.sqrt(first * second)
            pairs += 1
    return total / pairs


def test_the_correlation_is_that_of_a_slow_loop() -> None:
    rng = np.random.default_rng(2)
    maps = rng.normal(size=(4, 30)) + 2 * rng.normal(size=30)
    share = rng.uniform(size=30)
    share[3] = 0.0  # a cell that is ruled out
    with np.errstate(divide="ignore"):
        log_prior = np.log(share / share.sum()) - 7.0
    wanted = slow_correlation(maps, share / share.sum())
    assert map_correlation(maps, log_prior) == pytest.approx(wanted)
    assert shared_by(maps, log_prior) == pytest.approx(1 + 3 * wanted)
    assert shared_by(maps, log_prior, least=0.95) == pytest.approx(1 + 3 * 0.95)
    assert shared_by(-maps[:1], log_prior) == 1.0
    flat = np.stack([maps[0], np.ones(30)])  # tells nothing: no witness
    assert shared_by(flat, log_prior) == 2.0
