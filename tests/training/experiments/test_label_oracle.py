"""Oracle of a synthetic city's labels: what it reads, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from gair.errors import UsageError
from training.experiments.label_oracle import (
    OracleOptions,
    found_within,
    main,
    oracle_rows,
    reading_noise_sd,
)


def test_readings_explain_the_share_that_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((40_000, 3)) * [1, 5, 0.1]
    for r2 in (0.3, 0.8):
        read = truth + reading_noise_sd(truth, r2) * rng.standard_normal(truth.shape)
        explained = [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(truth.T, read.T, strict=True)]
        assert explained == pytest.approx([r2] * 3, abs=0.02)


def test_ranks_are_those_of_a_loop_over_cells() -> None:
    rng = np.random.default_rng(1)
    read, cells, noise_sd = rng.random((30, 4)), rng.random((50, 4)), rng.uniform(0.1, 2, 4)
    miss_m = rng.uniform(0, 1000, (30, 50))
    shares, median_m = found_within(read, cells, noise_sd, miss_m, (1, 5))
    hits, best_m = {1: 0, 5: 0}, []
    for photo in range(30):
        apart = [(((read[photo] - cell) / noise_sd) ** 2).sum() for cell in cells]
        order = np.argsort(apart)
        best_m.append(miss_m[photo, order[0]])
        for count in hits:
            hits[count] += any(miss_m[photo, cell] <= 200 for cell in order[:count])
    assert shares == pytest.approx([hits[1] / 30, hits[5] / 30])
    assert median_m == pytest.approx(float(np.median(best_m)))


def test_better_reading_finds_more_and_perfect_reading_nearly_all() -> None:
    options = OracleOptions(seed=5, side_km=3, photos=300, r2=(0.1, 0.5, 0.99))
    rows = oracle_rows(options)
    first = [shares[0] for _, shares, _ in rows]
    assert first == sorted(first)
    assert first[0] < 0.8
    assert first[-1] > 0.99
    assert rows[-1][2] < 120


def test_unknown_latents_and_impossible_shares_are_refused() -> None:
    with pytest.raises(UsageError, match="latents wood: there are red"):
        OracleOptions(latents=("wood",))
    with pytest.raises(UsageError, match="r2 is 1.5"):
        OracleOptions(r2=(1.5,))


def test_command_prints_a_row_for_each_share(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--side-km", "2", "--photos", "50", "--r2", "0.4", "--r2", "0.8"])
    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert [line.split("|")[1].strip() for line in lines[3:]] == ["0.4", "0.8"]
