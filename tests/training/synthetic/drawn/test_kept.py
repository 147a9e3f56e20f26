"""Files of kept worlds: what is read is what was written, and damage is seen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hand_world import hand_world, some_trees

from training.synthetic.drawn.kept import FROM_ABOVE, StreetPlaces, is_kept, keep_world, open_kept
from training.synthetic.world import CellGrid, Houses, Trees, World


@pytest.fixture
def world() -> World:
    rng = np.random.default_rng(0)
    side = 40
    noise = rng.integers(0, 10, (side, side)).astype(np.uint8)
    colours = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
    return hand_world(noise, floor_rgb=colours, top=colours, trees=some_trees(rng, 5, 100.0))


PLACES = StreetPlaces(("z15-1-2", "z15-1-3"), np.arange(7, dtype=np.int32), np.array([0, 3, 7]))


def test_a_kept_world_is_the_world_without_what_only_imagery_shows(
    world: World, tmp_path: Path
) -> None:
    kept = keep_world(tmp_path / "worlds" / "city-0", world, PLACES)
    assert is_kept(tmp_path / "worlds" / "city-0", kept)
    again, places = open_kept(tmp_path / "worlds" / "city-0")
    assert again.side_m == world.side_m
    assert again.seed == world.seed
    assert places.footprints == PLACES.footprints
    np.testing.assert_array_equal(places.pixel, PLACES.pixel)
    np.testing.assert_array_equal(places.start, PLACES.start)
    for field in dataclasses.fields(World):
        before, after = getattr(world, field.name), getattr(again, field.name)
        if field.name in FROM_ABOVE:
            assert after.size == 0
        elif isinstance(before, Houses | Trees | CellGrid):
            for column in dataclasses.fields(before):
                one, other = getattr(before, column.name), getattr(after, column.name)
                np.testing.assert_array_equal(one, other)
                assert np.asarray(one).dtype == np.asarray(other).dtype
        else:
            np.testing.assert_array_equal(before, after)
    again.floor[0, 0] += 1  # a private copy of the page
    assert is_kept(tmp_path / "worlds" / "city-0", kept)


def test_the_same_world_gives_the_same_file_and_damage_is_seen(
    world: World, tmp_path: Path
) -> None:
    kept = keep_world(tmp_path / "one", world, PLACES)
    assert keep_world(tmp_path / "two", world, PLACES) == kept
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["one", "two"]
    content = bytearray((tmp_path / "two").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "two").write_bytes(content)
    assert not is_kept(tmp_path / "two", kept)
    (tmp_path / "two").unlink()
    assert not is_kept(tmp_path / "two", kept)
    assert is_kept(tmp_path / "one", kept)
