"""Queries: numbers of every kind, and what makes no sense."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gair.errors import UsageError
from gair.geo import HALF_GLOBE_M
from indexer.probability.verdicts import check_claim
from indexer.search.query import Query


def test_numbers_of_numpy_become_pythons_own() -> None:
    query = Query(
        k=np.int8(100),  # type: ignore[arg-type]
        rs_weight=np.float32(0.5),  # type: ignore[arg-type]
        merge_radius_m=np.int64(200),  # type: ignore[arg-type]
    )
    query.check()
    told = (query.k, query.rs_weight, query.merge_radius_m)
    assert told == (100, 0.5, 200)
    assert json.loads(json.dumps(told)) == [100, 0.5, 200]


@pytest.mark.parametrize("k", [True, np.True_, np.float64(3), "5", None])
def test_what_is_no_number_of_places_is_refused(k: Any) -> None:
    with pytest.raises(UsageError, match="k is .*: ask for one place or more, a whole number"):
        Query(k=k).check()


@pytest.mark.parametrize(
    "name", ["rs_weight", "merge_radius_m", "elsewhere_prior", "max_error_rate", "within_m"]
)
@pytest.mark.parametrize("value", ["1", True, [1.0]])
def test_what_is_no_number_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"`{name}` is .*: give a number"):
        Query(**{name: value}).check()


def test_a_time_without_its_offset_is_refused() -> None:
    Query(taken_at="2024-06-01T14:30+01:00").check()
    with pytest.raises(UsageError, match="has no offset from UTC"):
        Query(taken_at="2024-06-01T14:30").check()


def test_radii_that_reach_around_the_globe_are_refused() -> None:
    Query(merge_radius_m=HALF_GLOBE_M, within_m=HALF_GLOBE_M, max_error_rate=0.1).check()
    for query in (
        Query(merge_radius_m=20_015_200),
        Query(within_m=20_015_200, max_error_rate=0.1),
    ):
        with pytest.raises(UsageError, match="at most 20015114, half the way around the globe"):
            query.check()
    check_claim((0, 0), HALF_GLOBE_M)
    with pytest.raises(UsageError, match="no place is farther than 20,015,114 m from another"):
        check_claim((0, 0), 20_015_200)
