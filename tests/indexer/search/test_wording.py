"""Words for numbers: what is small is never said to be nothing."""

from __future__ import annotations

import pytest

from indexer.search.wording import square_km


@pytest.mark.parametrize(
    ("km2", "said"),
    [
        (1574.2, "1,574 km²"),
        (84.4, "84 km²"),
        (9.96, "10 km²"),
        (9.94, "9.9 km²"),
        (1.26, "1.3 km²"),
        (0.996, "1.0 km²"),
        (0.27, "0.27 km²"),
        (0.044, "0.04 km²"),
        (0.0151, "0.02 km²"),
        (0.00214, "0.0021 km²"),
        (0.0, "0 km²"),
    ],
)
def test_areas_have_two_digits_where_they_are_small(km2: float, said: str) -> None:
    assert square_km(km2) == said
