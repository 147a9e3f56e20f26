"""Between cells: the definition at any point, and a planted peak is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from small_builds import BOX_WSEN_DEG, tiny_model

from gair.arrays import Floats
from gair.config import QueryMode, preset
from gair.encoders.initial import initial_state
from gair.errors import SearchIndexError, UsageError
from gair.geo import Footprint, haversine_m, lonlat_to_web_mercator
from gair.model import Gair
from indexer.build.build import BuildOptions, build_index
from indexer.imagery import open_imagery
from indexer.index.index import Index, open_index
from indexer.regions.flat_grid import lattice_around, moved, square_grid
from indexer.regions.region import region_from_bbox
from indexer.search import token_reader
from indexer.search.refine import (
    RefineOptions,
    Refining,
    default_radius_m,
    location_step_m,
    refine,
    refine_each,
    refined_points,
)
from indexer.search.token_reader import TokenReader

ROUNDING = 2.0**-11
"""Tokens and stored vectors are both rounded to half precision."""


@pytest.fixture(scope="module")
def toy(tiny_index: Path) -> Index:
    return open_index(tiny_index / "toy")


@pytest.fixture(scope="module")
def reader(toy: Index) -> TokenReader:
    return TokenReader(toy, tiny_model())


def random_places(index: Index, count: int, seed: int, beyond_deg: float = 0.0) -> Floats:
    low, high = index.cells.lonlat_deg.min(axis=0), index.cells.lonlat_deg.max(axis=0)
    rng = np.random.default_rng(seed)
    return rng.uniform(low - beyond_deg, high + beyond_deg, (count, 2))


def frame_by_hand(index: Index, place: Floats) -> tuple[int, Floats]:
    """The frame a place is read from, straight from the rules."""
    cell = int(haversine_m(index.cells.lonlat_deg, place).argmin())
    own = int(index.cells.frame[cell])
    by_frame = {}
    for frame, bounds in enumerate(index.frames.bounds_wsen_m.tolist()):
        xy = Footprint("EPSG:3857", tuple(bounds)).frame_xy([place])[0]
        by_frame[frame] = (float(np.abs(xy).max()), xy)
    central = min(by_frame, key=lambda frame: by_frame[frame][0])
    if by_frame[own][0] > 0.75 + 1e-6 and (by_frame[central][0] <= 0.75 or by_frame[own][0] > 1):
        own = central
    return (own, by_frame[own][1]) if by_frame[own][0] <= 1 else (-1, np.full(2, np.nan))


def test_at_cell_centres_it_is_the_stored_vector(toy: Index, reader: TokenReader) -> None:
    z = reader.localized(toy.cells.lonlat_deg)
    stored = toy.rs.vectors(np.arange(toy.rs.count))
    np.testing.assert_allclose(z, stored, rtol=0, atol=ROUNDING)
    assert (reader.frames(toy.cells.lonlat_deg)[0] == toy.cells.frame).all()
    locations = toy.location.vectors(np.arange(toy.location.count))
    np.testing.assert_allclose(
        reader.locations(toy.cells.lonlat_deg), locations, rtol=0, atol=ROUNDING
    )


@pytest.mark.parametrize("mode", ["nili", "bilinear", "mean"])
def test_anywhere_it_is_the_definition(toy: Index, mode: QueryMode) -> None:
    places = random_places(toy, 60, seed=1, beyond_deg=0.005)
    z = TokenReader(toy, tiny_model(), mode=mode).localized(places)
    assert toy.tokens is not None
    read = 0
    for place, vector in zip(places, z, strict=True):
        frame, xy = frame_by_hand(toy, place)
        if frame < 0:
            assert np.isnan(vector).all()
            continue
        read += 1
        at = torch.tensor(xy, dtype=torch.float32).view(1, 1, 2)
        with torch.inference_mode():
            tokens = toy.tokens.frame([frame])
            z = tiny_model().localize(tokens, at, mode=mode, form="general")[0, 0]
        np.testing.assert_allclose(vector, z, rtol=0, atol=2e-5)
    assert 40 < read < 60


def test_maps_convolved_before_give_the_same(toy: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    assert toy.tokens is not None
    places = random_places(toy, 60, seed=1, beyond_deg=0.005)
    expected = TokenReader(toy, tiny_model()).localized(places)
    read: list[int] = []
    tokens = toy.tokens.tokens
    monkeypatch.setattr(toy.tokens, "tokens", lambda rows: read.append(len(rows)) or tokens(rows))
    ready, too_large = TokenReader(toy, tiny_model()), TokenReader(toy, tiny_model())
    ready.expect_many()
    np.testing.assert_allclose(ready.localized(places), expected, atol=1e-6)
    assert not read
    monkeypatch.setattr(token_reader, "MOST_CONVOLVED_BYTES", 1000)
    too_large.expect_many()
    np.testing.assert_allclose(too_large.localized(places), expected, atol=1e-6)
    assert read


def test_the_outer_part_of_a_frame_is_read_only_where_no_other_frame_is_better(
    toy: Index, reader: TokenReader
) -> None:
    places = random_places(toy, 4000, seed=2)
    frame, xy = reader.frames(places)
    assert (frame >= 0).all()
    outer = np.abs(xy).max(axis=1) > 0.75 + 1e-6
    points = lonlat_to_web_mercator(places[outer])
    centres = (toy.frames.bounds_wsen_m[:, :2] + toy.frames.bounds_wsen_m[:, 2:]) / 2
    half_m = (toy.frames.bounds_wsen_m[0, 2] - toy.frames.bounds_wsen_m[0, 0]) / 2
    reach = np.abs(points[:, None] - centres).max(axis=2) / half_m  # (n, F)
    assert (reach.min(axis=1) > 0.75).all()
    own = toy.cells.frame[reader.field.nearest(places)[0]]
    assert 0 < (own != frame).sum() < 400


def test_what_cannot_be_read_is_nan(toy: Index, reader: TokenReader) -> None:
    centre = toy.cells.lonlat_deg[80]
    odd = [[np.nan, 51.5], [0.0, 89.0], [100.0, 51.5], centre + [360.0, 0.0], centre]
    frame, xy = reader.frames(odd)
    assert (frame < 0).tolist() == [True, True, True, False, False]
    assert np.isnan(reader.localized(odd)).all(axis=1).tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(xy[3], xy[4], atol=1e-6)
    assert (reader.frames([[np.nan, np.nan]])[0] == -1).all()


def test_the_mean_of_a_frame_is_that_of_its_token_centres(toy: Index) -> None:
    places = toy.cells.lonlat_deg[:3]
    z_of_frames = TokenReader(toy, tiny_model(), mode="frame").localized(places)
    assert toy.tokens is not None
    centres = ((np.arange(12) + 0.5) / 6 - 1) * 0.9999
    xy = torch.tensor([[x, y] for y in centres for x in centres], dtype=torch.float32)
    for row in range(3):
        tokens = toy.tokens.frame([toy.cells.frame[row]])
        with torch.inference_mode():
            z = tiny_model().localize(tokens, xy[None], normalize=False)[0].mean(dim=0)
        np.testing.assert_allclose(z_of_frames[row], z / z.norm(), rtol=0, atol=2e-6)


def test_a_decoder_with_hidden_layers_is_read_too(city_tif: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(preset("tiny"), inr_hidden=(16,))
    model = Gair.without_weights(config, tiny_model().info)
    model.load_state_dict(initial_state(model.state_dict(), config, 0), assign=True)
    with open_imagery(city_tif) as imagery:
        region = region_from_bbox(BOX_WSEN_DEG, "box")
        options = BuildOptions(quiet=True)
        build_index("box", region, imagery, model, tmp_path, options=options)
    index = open_index(tmp_path / "box")
    z = TokenReader(index, model).localized(index.cells.lonlat_deg)
    np.testing.assert_allclose(
        z, index.rs.vectors(np.arange(index.rs.count)), rtol=0, atol=2 * ROUNDING
    )


def test_an_index_is_read_the_way_its_cells_were(city_tif: Path, tmp_path: Path) -> None:
    region = region_from_bbox(BOX_WSEN_DEG, "box")
    for mode, keep in (("bilinear", True), ("nili", False)):
        options = BuildOptions(query_mode=mode, keep_token_maps=keep, quiet=True)
        with open_imagery(city_tif) as imagery:
            build_index(mode, region, imagery, tiny_model(), tmp_path, options=options)
    index = open_index(tmp_path / "bilinear")
    z = TokenReader(index, tiny_model()).localized(index.cells.lonlat_deg)
    stored = index.rs.vectors(np.arange(index.rs.count))
    np.testing.assert_allclose(z, stored, rtol=0, atol=ROUNDING)
    with pytest.raises(SearchIndexError, match="index 'nili' has no token maps.*--no-token-maps"):
        TokenReader(open_index(tmp_path / "nili"), tiny_model())


@pytest.mark.parametrize("seed", range(6))
def test_a_planted_peak_is_found_to_a_few_metres(
    toy: Index, reader: TokenReader, seed: int
) -> None:
    middle = toy.cells.lonlat_deg.mean(axis=0)
    place = middle + np.random.default_rng(seed).uniform(-0.01, 0.01, 2)
    assert reader.indexed(place)[0]
    s = reader.localized(place)[0]
    start = toy.cells.lonlat_deg[reader.field.nearest(place)[0][0]]
    refined = refine(reader, s, start, RefineOptions(rs_weight=2, location_weight=0))
    assert haversine_m((refined.lon_deg, refined.lat_deg), place) < 3
    assert refined.score == pytest.approx(2 * refined.rs_score)
    assert refined.rs_score == pytest.approx(1, abs=1e-4)
    assert refined.moved_m == pytest.approx(float(haversine_m(start, place)), abs=3)
    again = refine(reader, s, start, RefineOptions(rs_weight=2, location_weight=0))
    assert (again.lon_deg, again.lat_deg) == (refined.lon_deg, refined.lat_deg)


def score_by_hand(reader: TokenReader, s: npt.NDArray[np.float32], place: Floats) -> float:
    """0.7 of the imagery's cosine and 0.3 of the location's."""
    return 0.7 * float(reader.localized(place)[0] @ s) + 0.3 * float(reader.locations(place)[0] @ s)


def test_the_surface_is_the_score_at_its_points(toy: Index, reader: TokenReader) -> None:
    s = reader.localized(toy.cells.lonlat_deg[3])[0]
    start = toy.cells.lonlat_deg[80]
    options = RefineOptions(rs_weight=0.7, location_weight=0.3, radius_m=200)
    refined = refine(reader, s, start, options)
    surface = refined.surface
    assert surface.spacing_m == pytest.approx(reader.token_m / 4)
    side = 2 * int(200 / surface.spacing_m) + 1
    assert surface.lonlat_deg.shape == (side, side, 2)
    np.testing.assert_allclose(surface.lonlat_deg[side // 2, side // 2], start, atol=1e-9)
    assert surface.lonlat_deg[0, 0, 1] > surface.lonlat_deg[-1, 0, 1]  # north first
    away_m = haversine_m(surface.lonlat_deg, start)
    finite = np.isfinite(surface.scores)
    assert finite[away_m < 199].all()
    assert not finite[away_m > 201].any()
    step_m = haversine_m(surface.lonlat_deg[:, 1:], surface.lonlat_deg[:, :-1])
    np.testing.assert_allclose(step_m, surface.spacing_m, rtol=2e-3)
    for row, column in ((side // 2, side // 2), (3, side // 2), (side // 2, 2)):
        wanted = score_by_hand(reader, s, surface.lonlat_deg[row, column])
        assert surface.scores[row, column] == pytest.approx(wanted, abs=1e-5)
    assert refined.score >= np.nanmax(surface.scores) - 1e-6
    best = np.array([refined.lon_deg, refined.lat_deg])
    assert refined.score == pytest.approx(score_by_hand(reader, s, best), abs=1e-5)
    assert refined.score == pytest.approx(0.7 * refined.rs_score + 0.3 * refined.location_score)


def test_the_mean_place_is_that_of_the_posterior(toy: Index, reader: TokenReader) -> None:
    s = reader.localized(toy.cells.lonlat_deg[80] + 0.001)[0]
    options = RefineOptions(20, 0, radius_m=300, estimate="mean")
    refined = refine(reader, s, toy.cells.lonlat_deg[80], options)
    total, place = 0.0, np.zeros(2)
    for at, score in zip(
        refined.surface.lonlat_deg.reshape(-1, 2), refined.surface.scores.ravel(), strict=True
    ):
        if np.isfinite(score):
            total += np.exp(score - 20)
            place += np.exp(score - 20) * at
    assert haversine_m((refined.lon_deg, refined.lat_deg), place / total) < 0.05
    options = RefineOptions(1, 0, radius_m=300, estimate="mean", sharpness=20)
    same = refine(reader, s, toy.cells.lonlat_deg[80], options)
    assert haversine_m((refined.lon_deg, refined.lat_deg), (same.lon_deg, same.lat_deg)) < 0.05
    assert same.score == pytest.approx(refined.score / 20)
    peak = refine(
        reader, s, toy.cells.lonlat_deg[80], dataclasses.replace(options, estimate="peak")
    )
    assert haversine_m((peak.lon_deg, peak.lat_deg), place / total) > 5


def test_where_no_radius_is_given_the_cells_around_are_looked_at(boxes: Path, toy: Index) -> None:
    for index, mean_m in ((toy, 1.5 * 330), (open_index(boxes / "box"), 3.5 * 127)):
        reader = TokenReader(index, tiny_model())
        spacing_m = reader.field.spacing_m
        assert default_radius_m(reader, "peak") == 1.5 * spacing_m
        assert default_radius_m(reader, "mean") == pytest.approx(mean_m, rel=0.05)
        surface = refine(reader, np.zeros(192, np.float32), index.cells.lonlat_deg[0]).surface
        assert len(surface.scores) == 2 * int(1.5 * spacing_m / surface.spacing_m) + 1


def test_the_answer_stays_in_the_index(boxes: Path) -> None:
    reader = TokenReader(open_index(boxes / "box"), tiny_model())
    cells = reader.index.cells.lonlat_deg
    start = cells[cells[:, 0].argmin()]
    s = reader.localized(start - [0.004, 0])[0]  # 280 m on: in the frame, outside the index
    assert np.isfinite(s).all()
    refined = refine(reader, s, start, RefineOptions(1, 0, radius_m=400))
    assert reader.indexed((refined.lon_deg, refined.lat_deg)).all()
    assert refined.score < 0.999  # the best place of all is out of bounds
    finite = np.isfinite(refined.surface.scores)
    places = refined.surface.lonlat_deg.reshape(-1, 2)
    within = haversine_m(places, start).reshape(finite.shape) < 399
    np.testing.assert_array_equal(
        finite[within], reader.indexed(places).reshape(finite.shape)[within]
    )
    assert 0 < finite[within].sum() < within.sum()


def test_a_radius_below_the_grid_still_gives_an_answer(toy: Index, reader: TokenReader) -> None:
    start = toy.cells.lonlat_deg[80]
    s = reader.localized(start + [0.0001, 0])[0]  # 7 m east
    refined = refine(reader, s, start, RefineOptions(1, 0, radius_m=5))
    assert refined.surface.scores.shape == (1, 1)
    assert 2 < refined.moved_m <= 5


def test_a_start_or_radius_that_makes_no_sense_is_refused(toy: Index, reader: TokenReader) -> None:
    s = np.zeros(192, dtype=np.float32)
    with pytest.raises(UsageError, match="longitude 3.000000, latitude 4.000000 lies in no cell"):
        refine(reader, s, (3.0, 4.0))
    for radius_m in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(UsageError, match="refinement radius"):
            refine(reader, s, toy.cells.lonlat_deg[0], RefineOptions(radius_m=radius_m))


def test_photos_refined_together_are_refined_as_alone(toy: Index, reader: TokenReader) -> None:
    rng = np.random.default_rng(0)
    kinds = [
        RefineOptions(0.7, 0.3, estimate="mean", sharpness=9),
        RefineOptions(1, 0, radius_m=150),
        RefineOptions(0, 1, radius_m=90, estimate="mean", sharpness=30),
        RefineOptions(0.5, 0.5, radius_m=700, estimate="mean"),
    ]
    asked = []
    for number, options in enumerate([*kinds, *kinds]):
        starts = toy.cells.lonlat_deg[rng.choice(len(toy.cells), number % 3 + 1)]
        s = rng.standard_normal(reader.model.config.dim).astype(np.float32)
        asked.append(Refining(s / np.linalg.norm(s), starts, options))
    for one, places in zip(asked, refine_each(reader, asked), strict=True):
        assert len(places) == len(one.lonlat_deg)
        for start, place in zip(one.lonlat_deg, places, strict=True):
            alone = refine(reader, one.s, start, one.options)
            assert haversine_m((place.lon_deg, place.lat_deg), (alone.lon_deg, alone.lat_deg)) < 0.1
            np.testing.assert_allclose(place.surface.scores, alone.surface.scores, atol=1e-5)
            assert place.score == pytest.approx(alone.score, abs=1e-5)
    assert refine_each(reader, []) == []
    points = refined_points(reader, asked)  # the same, without what is said of them
    for at, places in zip(points, refine_each(reader, asked), strict=True):
        assert at.tolist() == [[place.lon_deg, place.lat_deg] for place in places]
    assert refined_points(reader, []) == []


def test_between_lattice_points_the_location_is_as_good_as_its_definition() -> None:
    exact, rng = Gair.from_pretrained("shipped:demo").double(), np.random.default_rng(0)
    step_m = location_step_m(exact)
    grid_m = square_grid(6, step_m / 3)[::2].reshape(-1, 2)
    lattice_m, weights = lattice_around(grid_m, step_m)
    assert len(lattice_m) < len(grid_m) / 3
    np.testing.assert_allclose(weights @ lattice_m, grid_m, atol=1e-9)
    with torch.inference_mode():
        for place in rng.uniform([-180, -70], [180, 70], (5, 2)):
            near, grid = (
                exact.encode_location(torch.from_numpy(moved(place, metres))).numpy()
                for metres in (lattice_m, grid_m)
            )
            s = np.concatenate([grid[::9], rng.standard_normal((100, grid.shape[1]))])
            s /= np.linalg.norm(s, axis=1, keepdims=True)
            np.testing.assert_allclose(weights @ (near @ s.T), grid @ s.T, rtol=0, atol=2e-4)


def test_a_location_encoder_of_shorter_waves_is_read_at_more_points() -> None:
    tiny = tiny_model()
    coarse, fine = (
        Gair.with_random_weights(
            dataclasses.replace(tiny.config, location_sigmas=sigmas), tiny.info, seed=0
        )
        for sigmas in ((1.0, 256.0), (1.0, 256.0, 4096.0))
    )
    assert 25 < location_step_m(coarse) < 50
    assert 25 < 16 * location_step_m(fine) < 50
