"""What decisions are learnt on: one photo of each held-out place, with the numbers that are its."""

from __future__ import annotations

import numpy as np

from indexer.calibrate.held_out import CONFIDENCE_RADII_M, Findings, Guesses, trials_of


def test_each_place_gives_one_photo_with_its_own_numbers() -> None:
    place = np.array([4, 7, 4, 4, 9, 7, 2])
    count = len(place)
    numbers = np.arange(count, dtype=np.float64)
    refined, centre = Guesses.room_for(count), Guesses.room_for(count)
    for guesses, sign in ((refined, 1), (centre, -1)):
        guesses.miss_m[:] = sign * 100 * numbers
        for mass, radius_m in zip(guesses.disc_mass.values(), CONFIDENCE_RADII_M, strict=True):
            mass[:] = sign * (numbers + radius_m)
    findings = Findings(numbers, numbers / 10, numbers, numbers, centre, refined, {})
    chosen = set()
    for seed in range(20):
        trials = trials_of(findings, place, seed)
        rows = np.rint(trials.miss_m / 100).astype(int)
        assert sorted(place[rows]) == [2, 4, 7, 9]
        np.testing.assert_array_equal(trials.region_mass, rows / 10)
        wanted = rows[:, None] + np.array(CONFIDENCE_RADII_M)
        np.testing.assert_array_equal(trials.disc_mass, wanted)
        assert trials.radii_m == CONFIDENCE_RADII_M
        chosen |= set(rows.tolist())
    assert chosen == set(range(count))  # by chance, not always the first
