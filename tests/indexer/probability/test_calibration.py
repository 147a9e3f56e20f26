"""The file of a calibration: written whole, read back the same, refused where it does not fit."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_city import calibrated_city

from gair.errors import IndexCorruptError, IndexMismatchError, SearchIndexError, UsageError
from indexer.probability.calibration import Calibration, calibration_path, load_calibration
from indexer.probability.confidence import Curve
from indexer.probability.posterior import ScoreWeights, SharedErrors

BUILD, MODEL = "20260101T000000Z-0000", "f" * 64


def measured_calibration() -> Calibration:
    calibration = calibrated_city().calibration
    assert calibration is not None
    return calibration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    measured_calibration().save(calibration_path(tmp_path, BUILD))
    return tmp_path


def same(a: Any, b: Any) -> bool:
    if dataclasses.is_dataclass(a):
        fields = [field.name for field in dataclasses.fields(a)]
        return type(a) is type(b) and all(same(getattr(a, f), getattr(b, f)) for f in fields)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return bool(a == b and type(a) is type(b))


def test_a_calibration_comes_back_as_it_was(folder: Path) -> None:
    again = load_calibration(folder, BUILD, MODEL)
    assert again is not None
    for field in dataclasses.fields(Calibration):
        a, b = getattr(measured_calibration(), field.name), getattr(again, field.name)
        if isinstance(a, dict):
            assert sorted(a) == sorted(b)
            b = {key: b[key] for key in a}
        assert same(a, b), field.name


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("odd", [b"x", b"\0", b"PK\5\6" + bytes(18), bytes(70_000)])
def test_bytes_that_do_not_belong_to_it_are_noticed(folder: Path, where: str, odd: bytes) -> None:
    path = calibration_path(folder, BUILD)
    content = path.read_bytes()
    path.write_bytes(odd + content if where == "before" else content + odd)
    with pytest.raises(IndexCorruptError, match=r"calibration-.*\.npz is damaged"):
        load_calibration(folder, BUILD, MODEL)


def test_what_a_killed_calibration_left_goes_with_the_next(folder: Path) -> None:
    (folder / f".calibration-{BUILD}.npz.4194999.tmp").write_bytes(b"half of")
    (folder / ".calibration-20250101T000000Z-0000.npz.7.tmp").write_bytes(b"half of")
    measured_calibration().save(calibration_path(folder, BUILD))
    assert [file.name for file in folder.iterdir()] == [f"calibration-{BUILD}.npz"]


def test_nothing_but_the_file_is_left(folder: Path) -> None:
    assert [file.name for file in folder.iterdir()] == [f"calibration-{BUILD}.npz"]
    before = calibration_path(folder, BUILD).read_bytes()
    measured_calibration().save(calibration_path(folder, BUILD))
    assert calibration_path(folder, BUILD).read_bytes() == before


def test_no_file_is_no_calibration(folder: Path, tmp_path: Path) -> None:
    assert load_calibration(folder, "another-build", MODEL) is None
    assert load_calibration(tmp_path / "nothing", BUILD, MODEL) is None


def test_one_of_another_build_model_or_version_is_refused(folder: Path) -> None:
    with pytest.raises(IndexMismatchError, match="belongs to model ffff.* calibrate again"):
        load_calibration(folder, BUILD, "0" * 64)
    path = calibration_path(folder, BUILD)
    path.rename(calibration_path(folder, "20270101T000000Z-0000"))
    with pytest.raises(IndexMismatchError, match=f"belongs to build .{BUILD}.*calibrate again"):
        load_calibration(folder, "20270101T000000Z-0000", MODEL)
    dataclasses.replace(measured_calibration(), schema_version=99).save(path)
    with pytest.raises(IndexMismatchError, match="schema version 99.*calibrate again"):
        load_calibration(folder, BUILD, MODEL)


def test_a_damaged_file_is_refused_whatever_the_damage(folder: Path) -> None:
    path = calibration_path(folder, BUILD)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for size in [0, 1, 10, 100, *rng.integers(0, len(whole), 20)]:
        path.write_bytes(whole[:size])
        with pytest.raises(IndexCorruptError, match="is damaged: calibrate again"):
            load_calibration(folder, BUILD, MODEL)
    shape = f"'shape': ({len(measured_calibration().masses)},)".encode()
    shorter = f"'shape': ({len(measured_calibration().masses) // 10},) ".encode()
    assert whole.count(shape) > 1
    path.write_bytes(whole.replace(shape, shorter, 1))  # a whole array, but not the one written
    with pytest.raises(IndexCorruptError, match="is damaged"):
        load_calibration(folder, BUILD, MODEL)
    refused = 0
    for place in rng.integers(0, len(whole), 150):
        content = bytearray(whole)
        content[place] ^= int(rng.integers(1, 256))
        path.write_bytes(content)
        try:
            again = load_calibration(folder, BUILD, MODEL)
        except SearchIndexError:
            refused += 1
        else:  # bytes that nobody reads, such as the time of a member
            assert again is not None
            assert again.measured == measured_calibration().measured
            assert np.array_equal(again.masses, measured_calibration().masses)
            assert np.array_equal(again.out_of_index.s, measured_calibration().out_of_index.s)
    assert refused > 120


def rewrite_header(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    text = json.dumps(change(json.loads(arrays["header"].tobytes()))).encode()
    buffer = io.BytesIO()
    np.savez(buffer, **(arrays | {"header": np.frombuffer(text, dtype=np.uint8)}))
    path.write_bytes(buffer.getvalue())


def test_a_file_from_before_refined_points_were_calibrated_opens(folder: Path) -> None:
    path = calibration_path(folder, BUILD)
    made = dataclasses.replace(measured_calibration(), refined_confidence={200.0: Curve(2.0, 1.0)})
    made.save(path)
    again = load_calibration(folder, BUILD, MODEL)
    assert again is not None
    assert again.refined_confidence == made.refined_confidence
    keys = "refined_confidence"
    rewrite_header(path, lambda header: {k: v for k, v in header.items() if k != keys})
    old = load_calibration(folder, BUILD, MODEL)
    assert old is not None
    assert old.refined_confidence == {}
    assert old.confidence == made.confidence
    with pytest.raises(UsageError, match="centres of cells only: calibrate again"):
        old.confidence_within(0.5, 200.0, refined=True)


def test_a_file_from_before_places_were_counted_opens_and_promises_nothing(folder: Path) -> None:
    path = calibration_path(folder, BUILD)
    rewrite_header(path, lambda header: {k: v for k, v in header.items() if k != "places"})
    old = load_calibration(folder, BUILD, MODEL)
    assert old is not None
    assert old.places is None
    assert np.array_equal(old.masses, measured_calibration().masses)
    assert "before places were counted" in old.basis.doubt
    assert old.basis.said.startswith("900 photos of an unknown number of places, 2")


@pytest.mark.parametrize(("places", "promises"), [(1, False), (99, False), (100, True)])
def test_few_places_promise_nothing(places: int, promises: bool) -> None:
    basis = dataclasses.replace(measured_calibration(), photos=5000, places=places).basis
    assert bool(basis.doubt) is not promises
    assert basis.said.startswith(f"5,000 photos of {places} places, 2")
    assert promises or f"5,000 photos of {places} places" in basis.doubt


def test_a_header_that_lacks_something_is_damage(folder: Path) -> None:
    path = calibration_path(folder, BUILD)
    whole = path.read_bytes()
    for change in ({"sharpness": {"rs_weight": 1.0}}, {"confidence": [[200.0]]}, {"claims": [3.0]}):
        path.write_bytes(whole)
        rewrite_header(path, lambda header, change=change: header | change)  # type: ignore[misc]
        with pytest.raises(IndexCorruptError, match="is damaged"):
            load_calibration(folder, BUILD, MODEL)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickles_are_never_opened(folder: Path) -> None:
    path = calibration_path(folder, BUILD)
    buffer = io.BytesIO()
    trap = np.array([Trap(folder / "sprung")], dtype=object)
    np.savez(buffer, header=trap)  # type: ignore[arg-type]
    path.write_bytes(buffer.getvalue())
    with pytest.raises(IndexCorruptError, match="is damaged"):
        load_calibration(folder, BUILD, MODEL)
    assert not (folder / "sprung").exists()


def test_a_folder_in_its_place_cannot_be_read(tmp_path: Path) -> None:
    calibration_path(tmp_path, BUILD).mkdir()
    with pytest.raises(IndexCorruptError, match="cannot read .*calibrate again"):
        load_calibration(tmp_path, BUILD, MODEL)


def test_regions_take_the_conformal_mass() -> None:
    calibration = dataclasses.replace(measured_calibration(), masses=np.arange(1, 10) / 10)
    assert calibration.region_mass(0.5) == 0.5
    assert calibration.region_mass(0.9) == 0.9
    assert calibration.region_mass(0.95) == np.inf
    for level in (0.0, 1.0, np.nan):
        with pytest.raises(UsageError, match="between 0 and 1"):
            calibration.region_mass(level)


def test_confidence_is_interpolated_between_radii_and_never_falls_with_mass() -> None:
    lines = {200.0: Curve(1.0, 0.0), 800.0: Curve(2.0, 1.0)}
    calibration = dataclasses.replace(measured_calibration(), confidence=lines)
    mass = np.linspace(0, 1, 21)
    inside = mass[1:-1]
    assert calibration.confidence_within(inside, 200.0) == pytest.approx(inside)
    assert calibration.confidence_within(inside, 50.0) == pytest.approx(inside)
    odds = (inside / (1 - inside)) ** 1.5 * np.exp(0.5)
    assert calibration.confidence_within(inside, 400.0) == pytest.approx(odds / (1 + odds))
    for radius_m in (1.0, 300.0, 1e6):
        said = calibration.confidence_within(mass, radius_m)
        assert (np.diff(said) >= 0).all()
        assert ((said >= 0) & (said <= 1)).all()
    assert float(calibration.confidence_within(0.5, 200.0)) == 0.5


def test_a_larger_radius_never_has_less_confidence_and_no_answer_has_none() -> None:
    curves = {200.0: Curve(1.0, 0.0), 500.0: Curve(1.0, -2.0)}
    calibration = dataclasses.replace(measured_calibration(), confidence=curves)
    stated = calibration.confidences(np.array([[0.4, 0.5], [0.1, 0.9], [np.nan, np.nan]]))
    alone = float(calibration.confidence_within(0.9, 500.0))
    assert stated[0].tolist() == pytest.approx([0.4, 0.4])
    assert stated[1].tolist() == pytest.approx([0.1, alone])
    assert np.isnan(stated[2]).all()


def test_a_file_from_before_decisions_opens_without_their_places(folder: Path) -> None:
    path = calibration_path(folder, BUILD)
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files if not name.startswith("trials_")}
        assert len(arrays) == len(stored.files) - 4
    np.savez(path, **arrays)
    old = load_calibration(folder, BUILD, MODEL)
    assert old is not None
    assert old.trials is None
    assert measured_calibration().trials is not None


def test_a_file_of_version_4_opens_with_its_own_meaning(folder: Path) -> None:
    """Without looks and shifts; and each claim counted once in its ratios."""
    path = calibration_path(folder, BUILD)
    shared = SharedErrors(0.8, 40, 90, ((200.0, 0.5),))
    dataclasses.replace(measured_calibration(), shared=shared).save(path)

    def older(header: dict[str, Any]) -> dict[str, Any]:
        kept = {k: v for k, v in header.items() if k != "taught"} | {"schema_version": 4}
        del kept["shared"]["chance_shifts"]
        for _, _, fields in kept["likelihood_ratios"]:
            del fields["balanced"]
        return kept

    rewrite_header(path, older)
    old = load_calibration(folder, BUILD, MODEL)
    assert old is not None
    assert old.looks == ()
    assert old.shared == SharedErrors(0.8, 40, 90)
    assert old.shift_of(5, 200.0) == 0
    assert old.independent_of(5) == old.independent
    for alternative, by_radius in old.likelihood_ratios.items():
        for radius_m, curve in by_radius.items():
            new = measured_calibration().likelihood_ratios[alternative][radius_m]
            assert (curve.curve, curve.balanced, new.balanced) == (new.curve, False, True)


def new_and_older_weights(
    folder: Path, calibration: Calibration, without: str, version: int
) -> tuple[ScoreWeights, ScoreWeights]:
    """Weights of a calibration as read, and as read from a version that lacks one of them."""
    path = calibration_path(folder, BUILD)
    calibration.save(path)

    def older(header: dict[str, Any]) -> dict[str, Any]:
        del header["sharpness"][without]
        return header | {"schema_version": version}

    new = load_calibration(folder, BUILD, MODEL)
    rewrite_header(path, older)
    old = load_calibration(folder, BUILD, MODEL)
    assert new is not None
    assert old is not None
    return new.weights, old.weights


def test_a_file_of_version_7_keeps_its_places_as_far_apart_as_they_were(folder: Path) -> None:
    new, old = new_and_older_weights(folder, measured_calibration(), "apart_radii", 7)
    assert (new.apart_radii, old.apart_radii) == (1.5, 2.0)


def test_a_file_of_version_8_expects_photos_by_a_normal_distribution(folder: Path) -> None:
    measured = measured_calibration()
    weights = dataclasses.replace(
        measured.weights, ground_weight=0.4, ground_expected_photos=3.0, ground_freedom=30.0
    )
    calibration = dataclasses.replace(measured, weights=weights)
    new, old = new_and_older_weights(folder, calibration, "ground_freedom", 8)
    assert (new.ground_freedom, old.ground_freedom) == (30.0, 0.0)
    assert old.ground_expected_photos == 3.0
