"""Processing baselines as catalogues and product names write them."""

from __future__ import annotations

import pytest

from indexer.imagery.baseline import Baseline, baseline_in_name, read_baseline


@pytest.mark.parametrize(
    ("value", "baseline"),
    [
        ("04.00", "04.00"),
        (" 05.11 ", "05.11"),
        ("N0400", "04.00"),
        ("n05.09", "05.09"),
        ("0214", "02.14"),
        ("4.0", "04.00"),
        ("5.10", "05.10"),
        ("5", "05.00"),
        (4.0, "04.00"),
        (4, "04.00"),
        (5.11, "05.11"),
        (5.1, "05.10"),
        ("5.1", "05.10"),
        (2.14, "02.14"),
        (3.01, "03.01"),
        ("10.02", "10.02"),
    ],
)
def test_spellings_of_a_baseline(value: object, baseline: str) -> None:
    assert str(read_baseline(value)) == baseline


@pytest.mark.parametrize(
    "value",
    [None, "", "n/a", "latest", True, float("nan"), float("inf"), -4.0, 99.99, "99.99", "N9999",
     [4, 0], {"v": "04.00"}, "04.00.1", "4,0", "00.00", 1e9, "v5.11-2"],
)  # fmt: skip
def test_what_is_no_baseline(value: object) -> None:
    assert read_baseline(value) is None


def test_baselines_of_products() -> None:
    name = "S2A_MSIL2A_20231008T175231_N0509_R141_T13TDE_20231008T233154.SAFE"
    assert baseline_in_name(name) == Baseline(5, 9)
    assert baseline_in_name(f"https://here/{name}/MTD_MSIL2A.xml") == Baseline(5, 9)
    assert baseline_in_name(name.replace("N0509", "N9999")) is None
    # Planetary Computer's ids leave the baseline out.
    assert baseline_in_name("S2A_MSIL2A_20230216T145731_R082_T21UYT_20230217T083102") is None
    assert baseline_in_name("S2A_13TDE_20231008_0_L2A") is None
    assert baseline_in_name(None) is None


def test_the_offset_came_with_04_00() -> None:
    for stated, higher in (("03.01", False), ("03.99", False), ("04.00", True), ("05.11", True)):
        baseline = read_baseline(stated)
        assert baseline is not None
        assert baseline.stored_higher == higher
