"""Photos that cannot be used: the reason for each."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import shapely
from packing_samples import save_photo

from gair.errors import DatasetError
from indexer.photos.listing import BROKEN, ListedPhoto
from training.dataset.pack.checks import (
    CONTRADICTORY,
    DUPLICATE,
    FILE_MISSING,
    IMPOSSIBLE,
    NO_COORDINATES,
    NULL_ISLAND,
    OUTSIDE,
    POLAR,
    REASONS,
    SWAPPED,
    check_photos,
)

STUTTGART, SINGAPORE = (9.17, 48.77), (103.81, 1.31)
COVERAGE = shapely.union_all(
    [shapely.Point(*place).buffer(0.05) for place in (STUTTGART, SINGAPORE, (5.0, 86.0))]
)
Place = tuple[float, float] | None


@pytest.fixture
def street(tmp_path: Path) -> Path:
    return save_photo(tmp_path / "street.jpg")


def reason(path: Path, lonlat_deg: Place) -> str:
    (reason,) = check_photos([ListedPhoto("photo", path, "photo", lonlat_deg)], COVERAGE)
    assert reason in ("", *REASONS)
    return reason


@pytest.mark.parametrize(
    ("lonlat_deg", "expected"),
    [
        (STUTTGART, ""),
        (SINGAPORE, ""),
        (None, NO_COORDINATES),
        ((0.0, 0.0), NULL_ISLAND),
        ((-1e-9, 0.0), NULL_ISLAND),
        ((0.0, 0.1), OUTSIDE),
        ((math.nan, 48.77), IMPOSSIBLE),
        ((9.17, math.inf), IMPOSSIBLE),
        ((9.17, 90.5), IMPOSSIBLE),
        ((-180.5, 48.77), IMPOSSIBLE),
        ((48.77, 9.17), SWAPPED),
        ((1.31, 103.81), SWAPPED),  # impossible as it stands, and plain what is meant
        ((5.0, 86.0), POLAR),
        ((-9.17, 48.77), OUTSIDE),
        ((180.0, -90.0), POLAR),
    ],
)
def test_coordinates(street: Path, lonlat_deg: Place, expected: str) -> None:
    assert reason(street, lonlat_deg) == expected


def test_a_place_whose_swap_also_shows_is_not_swapped(street: Path) -> None:
    square = shapely.box(8.0, 8.0, 10.0, 10.0)
    assert check_photos([ListedPhoto("p", street, "p", (9.0, 8.5))], square) == [""]


def test_files(tmp_path: Path, street: Path) -> None:
    assert reason(tmp_path / "gone.jpg", STUTTGART) == FILE_MISSING
    assert reason(tmp_path, STUTTGART) == FILE_MISSING
    assert reason(tmp_path / "gone.jpg", None) == NO_COORDINATES
    broken = ListedPhoto("b", street, "b", STUTTGART, left_out=BROKEN)
    assert check_photos([broken], COVERAGE) == [BROKEN]


def photos_at(folder: Path, places: list[Place], seeds: list[int]) -> list[str]:
    candidates = []
    for number, (place, seed) in enumerate(zip(places, seeds, strict=True)):
        path = save_photo(folder / f"{number}.jpg", seed)
        candidates.append(ListedPhoto(path.name, path, path.name, place))
    return check_photos(candidates, COVERAGE)


def test_the_same_photo_in_the_same_place_counts_once(tmp_path: Path) -> None:
    near = (STUTTGART[0], STUTTGART[1] + 5e-5)  # 5.6 metres
    reasons = photos_at(tmp_path, [STUTTGART, near, STUTTGART, STUTTGART], [1, 1, 2, 1])
    assert reasons == ["", DUPLICATE, "", DUPLICATE]


def test_the_same_photo_in_different_places_counts_nowhere(tmp_path: Path) -> None:
    far = (STUTTGART[0], STUTTGART[1] + 2e-4)  # 22 metres
    reasons = photos_at(tmp_path, [STUTTGART, far, STUTTGART], [1, 1, 2])
    assert reasons == [CONTRADICTORY, CONTRADICTORY, ""]


def test_a_contradiction_counts_even_where_one_place_has_no_imagery(tmp_path: Path) -> None:
    assert photos_at(tmp_path, [STUTTGART, (20.0, 20.0)], [1, 1]) == [CONTRADICTORY] * 2


def test_a_photo_without_a_place_contradicts_nothing(tmp_path: Path) -> None:
    reasons = photos_at(tmp_path, [None, (0.0, 0.0), STUTTGART], [1, 1, 1])
    assert reasons == [NO_COORDINATES, NULL_ISLAND, ""]


def test_files_that_differ_only_at_their_end_differ(tmp_path: Path) -> None:
    beginning = bytes(200_000)
    candidates = []
    for number, end in enumerate((b"a", b"b", b"a")):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(beginning + end)
        candidates.append(ListedPhoto(path.name, path, path.name, STUTTGART))
    assert check_photos(candidates, COVERAGE) == ["", "", DUPLICATE]


def test_ids_of_photos_in_use_are_unique(tmp_path: Path) -> None:
    first = ListedPhoto("a.jpg", save_photo(tmp_path / "a.jpg", 1), "x", STUTTGART)
    second = ListedPhoto("b.jpg", save_photo(tmp_path / "b.jpg", 2), "x", STUTTGART)
    with pytest.raises(DatasetError, match=r"a\.jpg and b\.jpg have the same id 'x'"):
        check_photos([first, second], COVERAGE)
    gone = dataclasses.replace(second, lonlat_deg=None)
    assert check_photos([first, gone], COVERAGE) == ["", NO_COORDINATES]
