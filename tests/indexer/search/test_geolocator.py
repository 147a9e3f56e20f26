"""Search: scores by a slow loop, photos of every kind, and the model that made the index."""

from __future__ import annotations

import copy
import dataclasses
import gc
import hashlib
import io
import itertools
import json
import math
import shutil
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from small_builds import build_box, serving_build, tiny_model
from toy_city import photo

from gair.errors import IndexMismatchError, IndexNotFoundError, ModelError, PhotoError, UsageError
from gair.geo import haversine_m
from gair.model import Gair
from gair.photos.photo import Photo, open_photo
from gair.preprocess import street_view_pixels
from indexer import Answer, Geolocator, search
from indexer.index.index import open_index
from indexer.probability.cautions import coded
from indexer.regions.cells import cell_from_hex
from indexer.search.answer import BY_IMAGERY_ALONE, UNCALIBRATED


@pytest.fixture(scope="module")
def toy(tiny_index: Path) -> Geolocator:
    return Geolocator.open("toy", indexes_dir=tiny_index, model=tiny_model())


def vector_of(image: Any) -> npt.NDArray[np.float64]:
    pixels = street_view_pixels([np.asarray(image)])
    with torch.inference_mode():
        return tiny_model().encode_street_view(pixels)[0].double().numpy()


def slow_scores(
    toy: Geolocator, s: npt.NDArray[np.float64], rs_weight: float, location_weight: float
) -> list[tuple[float, float, float]]:
    """Cell by cell: the fused score and the two cosines."""
    everything = np.arange(len(toy.index.cells))
    z, l_ = toy.index.rs.vectors(everything), toy.index.location.vectors(everything)
    scored = []
    for row in everything:
        rs = sum(float(a) * float(b) for a, b in zip(z[row], s, strict=True))
        location = sum(float(a) * float(b) for a, b in zip(l_[row], s, strict=True))
        scored.append((rs_weight * rs + location_weight * location, rs, location))
    return scored


@pytest.mark.parametrize("weights", [(0.5, 0.5), (1, 0), (0, 1), (0.2, 3.0), (1e-3, 0)])
def test_scores_equal_a_slow_loop(toy: Geolocator, weights: tuple[float, float]) -> None:
    image = photo(3)
    slow = slow_scores(toy, vector_of(image), *weights)
    answer = toy.search(
        image, k=1000, rs_weight=weights[0], location_weight=weights[1], merge_radius_m=0
    )
    assert len(answer.candidates) == len(slow) == answer.cells_searched
    for c in answer.candidates:
        assert (c.score, c.rs_score, c.location_score) == pytest.approx(slow[c.row], abs=2e-6)
    assert (answer.rs_weight, answer.location_weight) == weights
    scores = [c.score for c in answer.candidates]
    assert scores == sorted(scores, reverse=True)
    assert [c.rank for c in answer.candidates] == list(range(1, len(slow) + 1))


def test_candidates_are_the_cells_of_their_rows(toy: Geolocator) -> None:
    cells = toy.index.cells
    for c in toy.search(photo(1), k=7).candidates:
        assert cell_from_hex(c.h3_cell) == cells.h3[c.row]
        assert (c.lon_deg, c.lat_deg) == tuple(cells.lonlat_deg[c.row])


def test_candidates_lie_one_and_a_half_merge_radii_apart(toy: Geolocator) -> None:
    for radius_m in (None, 100.0, 900.0):
        answer = toy.search(photo(1), k=12, merge_radius_m=radius_m)
        points = [(c.lon_deg, c.lat_deg) for c in answer.candidates]
        limit = 1.5 * (toy.space.merge_radius_m if radius_m is None else radius_m)
        assert all(haversine_m(a, b) > limit for a, b in itertools.combinations(points, 2))
        assert all(c.merged_within_m <= limit for c in answer.candidates)


def test_the_merge_radius_is_a_token_or_one_and_a_half_cells(
    toy: Geolocator, city_tif: Path, tmp_path: Path
) -> None:
    # Resolution 9: hexagons of 0.0936 km2 at 51.5 degrees north are 329 m from centre to centre.
    area = toy.index.cells.area_m2.mean()
    assert toy.space.merge_radius_m == pytest.approx(1.5 * math.sqrt(area * 2 / math.sqrt(3)))
    fine = build_box(city_tif, tmp_path, resolution=12)
    token_m = 2446 * math.cos(math.radians(51.5)) / 12
    opened = Geolocator(open_index(fine.path.parent), tiny_model())
    assert opened.space.merge_radius_m == pytest.approx(token_m, rel=1e-3)


def test_more_places_than_there_are(toy: Geolocator) -> None:
    answer = toy.search(photo(), k=10_000, merge_radius_m=1000)
    assert 4 < len(answer.candidates) < 40
    assert sum(c.merged_cells for c in answer.candidates) + len(answer.candidates) == 171
    assert len(toy.search(photo(), k=3, merge_radius_m=1e7).candidates) == 1


def test_the_answer_is_the_same_every_time(toy: Geolocator) -> None:
    first, again = toy.search(photo(2)), toy.search(photo(2))
    assert first == again
    assert first != toy.search(photo(4))


def as_bytes(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


SOURCES: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "str": str,
    "bytes": lambda path: path.read_bytes(),
    "PIL": lambda _: photo(5),
    "array": lambda _: np.asarray(photo(5)),
    "tensor": lambda _: torch.from_numpy(np.array(photo(5))).permute(2, 0, 1),
    "open file": lambda path: io.BytesIO(path.read_bytes()),
    "Photo": open_photo,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_photos_of_every_kind(toy: Geolocator, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "street.png"
    photo(5).save(path)
    answer = toy.search(SOURCES[kind](path))
    assert answer.candidates == toy.search(photo(5)).candidates
    named = kind in ("path", "str", "Photo")
    assert answer.photo == (str(path) if named else "photo")
    pixels_only = kind in ("PIL", "array", "tensor")
    digest = "" if pixels_only else hashlib.sha256(path.read_bytes()).hexdigest()
    assert answer.photo_sha256 == (digest,)


def test_what_is_odd_about_a_file_is_a_warning(toy: Geolocator, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    photo(5).save(whole)
    photo(6).save(cut)
    cut.write_bytes(cut.read_bytes()[:-2])
    answer = toy.search([whole, cut, str(whole)], same_place=True)
    assert answer.photos == (str(whole), str(cut), str(whole))
    assert answer.photo_sha256[0] == answer.photo_sha256[2]
    assert answer.photo_sha256[1] == hashlib.sha256(cut.read_bytes()).hexdigest()
    told = {w["code"]: w["text"] for w in coded(answer.warnings)}
    assert told["photo_end_missing"].startswith(f"{cut}: its file lacks the end marker")
    assert "copies" in told
    verdict = toy.verify(cut, -0.1, 51.5)
    assert (verdict.photos, verdict.photo_sha256) == ((str(cut),), answer.photo_sha256[1:2])
    assert "its file lacks the end marker" in verdict.warnings[-1]


def test_a_batch_equals_its_photos_one_by_one(toy: Geolocator) -> None:
    images = [photo(n, size=(100 + 7 * n, 80 + n)) for n in range(18)]  # more than one pass
    batch = toy.search(images, k=4)
    assert list(toy.search_each(iter(images), k=4)) == batch
    assert isinstance(batch, list)
    assert toy.search(tuple(images[:2]), k=4) == toy.search(images[:2], k=4)
    for image, answer in zip(images, batch, strict=True):
        alone = toy.search(image, k=4)
        assert [c.row for c in answer.candidates] == [c.row for c in alone.candidates]
        for a, b in zip(answer.candidates, alone.candidates, strict=True):
            assert (a.score, a.rs_score, a.location_score) == pytest.approx(
                (b.score, b.rs_score, b.location_score), abs=1e-5
            )


def test_no_photos_no_answers(toy: Geolocator) -> None:
    assert toy.search([]) == []
    assert toy.search(()) == []


def test_a_broken_photo_in_a_list_fails_the_list(toy: Geolocator) -> None:
    with pytest.raises(PhotoError, match="photo is not a photo"):
        toy.search([photo(), b"no photo at all"])
    for odd in (None, 7, [photo()]):
        with pytest.raises(PhotoError, match="pass a path, bytes, an open file, a Pillow image"):
            toy.search([odd])


def test_errors_of_a_list_can_be_collected(toy: Geolocator) -> None:
    images = [photo(1), b"no photo at all", *[photo(2)] * 16, "gone.jpg"]
    results = toy.search(images, on_error="collect", k=2)
    errors = [n for n, result in enumerate(results) if isinstance(result, PhotoError)]
    assert errors == [1, 18]
    assert "gone.jpg" in str(results[18])
    assert results[0].candidates[0].row == toy.search(photo(1), k=2).candidates[0].row
    assert isinstance(results[17], Answer)
    for arguments in ({"on_error": "ignore"}, {"on_error": "collect", "same_place": True}):
        with pytest.raises(UsageError, match=f"`on_error` '{arguments['on_error']}'"):
            toy.search(images, **arguments)


def test_answers_come_as_photos_are_read_and_are_not_kept(toy: Geolocator) -> None:
    read: list[int] = []

    def images() -> Iterator[Image.Image]:
        for number in range(40):
            read.append(number)
            yield photo(number % 3, size=(60, 40))

    answers: list[weakref.ref[Answer]] = []
    most_alive = 0
    for answer in toy.search_each(images(), k=1, refine=False):
        answers.append(weakref.ref(answer))
        assert len(read) <= len(answers) + 15
        most_alive = max(most_alive, sum(made() is not None for made in answers))
    assert len(answers) == 40
    assert most_alive <= 17, "those of one pass, and the last one"
    with pytest.raises(UsageError, match="k is 0"):
        toy.search_each([], k=0)  # refused at once, not at the first answer


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"k": 0}, "k is 0: ask for one place or more"),
        ({"k": -3}, "k is -3"),
        ({"k": 2.5}, "k is 2.5"),
        ({"rs_weight": -0.1}, r"weights -0.1 \(rs\) and 0 \(location\): both must be 0 to 1e"),
        ({"location_weight": -1}, r"weights 1 \(rs\) and -1 \(location\)"),
        ({"rs_weight": 0, "location_weight": 0}, "one of them above 0"),
        ({"rs_weight": 0}, "one of them above 0"),
        ({"rs_weight": math.nan}, "weights nan"),
        ({"location_weight": math.inf}, "weights 1 "),
        ({"location_weight": 1e39}, "weights 1 "),
        ({"merge_radius_m": -1}, "merge radius -1 m: it must be 0 or more"),
        ({"merge_radius_m": math.nan}, "merge radius nan m"),
    ],
)
def test_queries_that_make_no_sense(toy: Geolocator, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        toy.search(photo(), **arguments)


def test_gps_is_disclosed_and_never_used(toy: Geolocator) -> None:
    plain = open_photo(photo(6))
    located = Photo(plain.rgb, "located.jpg", (-0.1, 51.5))
    answer = toy.search(located)
    assert answer.photo_gps_lonlat_deg == (-0.1, 51.5)
    assert answer.candidates == toy.search(plain).candidates
    assert toy.search(plain).photo_gps_lonlat_deg is None


def test_an_answer_carries_what_belongs_beside_it(toy: Geolocator, tiny_index: Path) -> None:
    answer = toy.search(photo())
    assert (answer.index, answer.build) == ("toy", serving_build(tiny_index / "toy").name)
    assert answer.cells_searched == 171
    assert (answer.model, answer.trained) == ("untrained-tiny", False)
    assert answer.model_licence == "Apache-2.0 (random weights)"
    assert "Copernicus" in answer.attribution
    assert "untrained" in answer.warnings[0]
    assert answer.warnings[-2:] == (UNCALIBRATED, BY_IMAGERY_ALONE)
    values = answer.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["schema_version"] == 3
    for told, candidate in zip(values["candidates"], answer.candidates, strict=True):
        lonlat_deg = candidate.refined_lonlat_deg
        assert told == dataclasses.asdict(candidate) | {
            "refined_lonlat_deg": list(lonlat_deg) if lonlat_deg else None,
            "ground_photos": [],
        }


def test_another_model_is_refused_by_name(tiny_index: Path) -> None:
    other = Gair.untrained("tiny", seed=1)
    with pytest.raises(IndexMismatchError) as caught:
        Geolocator.open("toy", indexes_dir=tiny_index, model=other)
    message = str(caught.value)
    assert tiny_model().fingerprint()[:12] in message
    assert other.fingerprint()[:12] in message
    assert "built by model untrained-tiny" in message
    assert "rebuild it, or pass the model that built it (untrained:tiny)" in message
    with pytest.raises(IndexMismatchError, match="cannot be searched with"):
        Geolocator.open("toy", indexes_dir=tiny_index, model="untrained:tiny:2")


def test_one_changed_weight_is_another_model(toy: Geolocator) -> None:
    changed = copy.deepcopy(tiny_model())
    with torch.no_grad():
        next(changed.location.parameters()).view(-1)[0] += 1e-6
    with pytest.raises(IndexMismatchError):
        Geolocator(toy.index, changed)


def test_the_manifest_names_the_model_to_load(tiny_index: Path, tmp_path: Path) -> None:
    assert (
        Geolocator.open("toy", indexes_dir=tiny_index).index.manifest.model.name == "untrained-tiny"
    )
    with pytest.raises(ModelError, match="no model at '/gone/model'"):
        Geolocator.open("toy", indexes_dir=tiny_index, model="/gone/model")


def test_a_model_that_has_moved_is_asked_for(city_tif: Path, tmp_path: Path) -> None:
    own = copy.deepcopy(tiny_model())
    with torch.no_grad():  # weights that no other test has in use
        next(own.location.parameters()).view(-1)[0] += 1e-3
    folder = own.save_pretrained(tmp_path / "model")
    loaded = Gair.from_pretrained(folder)
    build_box(city_tif, tmp_path, model=loaded, model_source=str(folder))
    assert Geolocator.open("box", indexes_dir=tmp_path).search(photo()).index == "box"
    moved = folder.rename(tmp_path / "moved")
    gc.collect()  # the model of an index in use would be shared
    with pytest.raises(ModelError, match="cannot load the model of index 'box': .*--model"):
        Geolocator.open("box", indexes_dir=tmp_path)
    assert Geolocator.open("box", indexes_dir=tmp_path, model=str(moved)).search(photo())


def test_a_model_that_gives_no_numbers_is_refused(toy: Geolocator) -> None:
    broken = copy.deepcopy(tiny_model())
    with torch.no_grad():
        for parameter in broken.street_view.parameters():
            parameter.fill_(torch.nan)
    manifest = toy.index.manifest
    record = dataclasses.replace(manifest.model, fingerprint=broken.fingerprint())
    index = dataclasses.replace(toy.index, manifest=dataclasses.replace(manifest, model=record))
    with pytest.raises(ModelError, match="not finite"):
        Geolocator(index, broken).search(photo())


def test_search_by_name_follows_the_newest_build(
    tiny_index: Path, city_tif: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_index / "toy", tmp_path / "indexes" / "box")
    monkeypatch.chdir(tmp_path)
    first = search(photo(), index="box", k=2)
    assert isinstance(first, Answer)
    assert (first.cells_searched, len(first.candidates)) == (171, 2)
    assert search(photo(), k=2) == first  # the only index of ./indexes
    assert search(photo(), index=tmp_path / "indexes" / "box", k=2) == first
    held = Geolocator.open("box", model=tiny_model())
    report = build_box(city_tif, tmp_path / "indexes")
    second = search(photo(), index="box", k=2)
    assert isinstance(second, Answer)
    assert second.build == report.manifest.build != first.build
    assert held.search(photo(), k=2) == first  # what is open stays as it is
    several = search([photo(1), photo(2)], index="box", rs_weight=1, location_weight=0)
    assert isinstance(several, list)
    assert len(several) == 2
    with pytest.raises(IndexNotFoundError, match="no index 'paris'"):
        search(photo(), index="paris")


def test_threads_may_share_one(toy: Geolocator) -> None:
    images = [photo(n) for n in range(6)]

    def rows(image: Image.Image) -> list[int]:
        return [c.row for c in toy.search(image).candidates]

    alone = [rows(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(rows, images * 3)) == alone * 3


def test_answers_in_half_precision_are_those_of_float32_within_a_thousandth(
    tiny_index: Path, toy: Geolocator
) -> None:
    half = Geolocator.open("toy", indexes_dir=tiny_index, model=tiny_model(), precision="bfloat16")
    assert (half.precision, toy.precision) == ("bfloat16", "float32")  # auto: too narrow to gain
    photos = [photo(number) for number in range(4)]
    for low, high in zip(half.search(photos, k=1000), toy.search(photos, k=1000), strict=True):
        low_score = {c.row: c.score for c in low.candidates}
        high_score = {c.row: c.score for c in high.candidates}
        both = low_score.keys() & high_score.keys()
        assert len(both) > 0.9 * len(high_score)
        assert max(abs(low_score[row] - high_score[row]) for row in both) < 5e-3
    assert low_score != high_score
    # What is kept or compared with other photos is float32 whatever answers are computed in.
    opened = [open_photo(image) for image in photos]
    np.testing.assert_array_equal(half.embed(opened), toy.embed(opened))
    assert copy.deepcopy(half).precision == "bfloat16"
