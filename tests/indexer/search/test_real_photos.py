"""Real photos of all the world: of an index of a synthetic city, none is promised anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from gair.model import Gair
from indexer.build.build import BuildOptions, build_index
from indexer.calibrate.calibrate import calibrate
from indexer.imagery import open_imagery
from indexer.photos.altered import altered_photos
from indexer.photos.listing import read_photos
from indexer.photos.vectors import photo_vectors
from indexer.probability.basis import FEWEST_PLACES
from indexer.probability.verdicts import CANNOT_TELL
from indexer.regions.region import Region
from indexer.search.geolocator import Geolocator
from training.synthetic.city import City
from training.synthetic.files import write_city


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Geolocator:
    folder = tmp_path_factory.mktemp("synthetic")
    city = City(5, 3000.0)
    files = write_city(city, folder, photos=30, calibration_photos=240, dates=1, quiet=True)
    model = Gair.from_pretrained("shipped:demo")
    with open_imagery(files.imagery) as imagery:
        region = Region("synthetic", imagery.coverage, attribution="none")
        options = BuildOptions(quiet=True)
        build_index("synthetic", region, imagery, model, folder / "indexes", options=options)
    made = Geolocator.open(folder / "indexes" / "synthetic", model=model)
    photos = photo_vectors(made, folder / "calibration.csv", cache=None, quiet=True)
    made.space.calibration = made.calibration = calibrate(
        made.space, photos, altered=altered_photos(photos, quiet=True), quiet=True
    )
    assert made.calibration is not None
    assert (made.calibration.places or 0) >= FEWEST_PLACES
    return made


@pytest.mark.slow
@pytest.mark.shared
def test_nothing_is_promised_of_real_photos(calibrated: Geolocator, shared_dir: Path) -> None:
    listed = read_photos(shared_dir / "data" / "photos")
    answers = calibrated.search_each([photo.path for photo in listed], k=1, on_error="collect")
    told = [answer for answer in answers if not isinstance(answer, Exception)]
    assert len(told) > 0.9 * len(listed) > 20
    assert [answer.photo for answer in told if answer.region(0.9).promised] == []
    assert all(answer.unlike or answer.region(0.9).refused for answer in told)
    lon_deg, lat_deg = (float(value) for value in calibrated.index.cells.lonlat_deg[0])
    verdict = calibrated.verify(listed[0].path, lon_deg, lat_deg)
    assert verdict.verdict == CANNOT_TELL


@pytest.mark.slow
@pytest.mark.shared
def test_photos_of_the_city_are_promised(calibrated: Geolocator) -> None:
    """Else nothing would be proved by promising nothing."""
    folder = calibrated.index.path.parents[2]
    paths = [photo.path for photo in read_photos(folder / "photos.csv")]
    promised = [answer.region(0.9).promised for answer in calibrated.search_each(paths, k=1)]
    assert sum(promised) >= 0.8 * len(paths)
