"""A photo that is tested is not told by its own copies, its own walk, or what stood beside it."""

from __future__ import annotations

import numpy as np
import pytest
from references import digest_of, references

from gair.arrays import Floats, Vectors
from gair.errors import UsageError
from indexer.ground.left_out import COPIES, NEAR, OF_SEQUENCE, leave_out

M_PER_DEG = 111_195.0


def at_m(*metres: float) -> Floats:
    """Places so far east of one on the equator."""
    return np.array([(metre / M_PER_DEG, 0.0) for metre in metres]).reshape(-1, 2)


def unit(count: int, seed: int = 0) -> Vectors:
    s = np.random.default_rng(seed).normal(size=(count, 16))
    return (s / np.linalg.norm(s, axis=1, keepdims=True)).astype(np.float32)


def test_copies_walks_and_neighbours_are_left_out_and_counted_once() -> None:
    """Reference photos: the photo, its walk, a crop 30 m off, a stranger 99 m off, others."""
    s = unit(8)
    places = at_m(5_000, 5_400, 5_900, 30, 99, 101, 9_000, 0)
    walk = ["walk", "walk", "walk", "", "", "", "", ""]
    photos = references(s, places, walk)
    asked, hashes = unit(2, 1), ["", digest_of(7)]
    asked[0] = s[0]  # it was saved as another file, and its place is another in that list
    left_out = leave_out(photos, asked, at_m(0, 50_000), hashes, ["", ""])
    assert [rows.tolist() for rows in left_out.rows] == [[0, 1, 2, 3, 4, 7], [7]]
    assert left_out.counts == {COPIES: 2, OF_SEQUENCE: 2, NEAR: 3}
    assert left_out.photos == 2
    assert "2 copies of it, 2 of its sequence, 3 within 100 m of it, of 2 of 2 photos" in (
        left_out.said
    )
    assert [rows.tolist() for rows in left_out.taken(np.array([1])).rows] == [[7]]


def test_a_walk_is_known_by_its_name_and_no_other_is() -> None:
    photos = references(unit(4), at_m(0, 500, 1000, 1500), ["a", "b", "a", ""])
    named = leave_out(photos, unit(3, 1), at_m(*[9e4] * 3), [""] * 3, ["a", "ab", ""])
    assert [rows.tolist() for rows in named.rows] == [[0, 2], [], []]
    assert named.counts == {COPIES: 0, OF_SEQUENCE: 2, NEAR: 0}


def test_at_no_distance_those_of_its_own_stay_out() -> None:
    photos = references(unit(3), at_m(0, 10, 5_000), ["", "", "a"])
    left_out = leave_out(photos, unit(1, 1), at_m(0), [digest_of(1)], ["a"], apart_m=0.0)
    assert left_out.rows[0].tolist() == [1, 2]
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="`ground_apart_m`"):
            leave_out(photos, unit(1, 1), at_m(0), [""], [""], apart_m=wrong)


def test_half_precision_is_still_the_same_photo_and_a_like_one_is_not() -> None:
    s = unit(400)
    photos = references(s.astype(np.float16).astype(np.float32), at_m(*[9e4] * 400))
    left_out = leave_out(photos, s, at_m(*[0] * 400), [""] * 400, [""] * 400)
    assert [rows.tolist() for rows in left_out.rows] == [[number] for number in range(400)]
    none = references(s[:0], at_m())
    assert [len(rows) for rows in leave_out(none, s[:2], at_m(0, 0), [""] * 2, [""] * 2).rows] == [
        0,
        0,
    ]
