"""Photos of a synthetic city under the conditions of real use, drawn and encoded once.

Everything lies in one folder and is made only if it is not there: imagery, index, photos and their
vectors. Another model draws nothing anew.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gair.errors import UsageError
from gair.fields import check_range, option
from training.experiments.drawn_city import index_city

if TYPE_CHECKING:
    from gair.arrays import Ints
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.geolocator import Geolocator
    from indexer.search.scored import Seen
    from training.synthetic.album import Sequences
    from training.synthetic.city import City
    from training.synthetic.options import Mix

CONDITIONS: tuple[Mix, ...] = ("winter", "fog", "snow", "night")
FRAMES = 12
"""Photos of a drive."""
STEP_M, APART_M = 5.0, 100.0
"""Metres between frames of a drive, and between photos that are far apart for one place."""
VIEWS = 4
"""Photos of a spot, a quarter turn each, and of those far apart."""


@dataclass(frozen=True, kw_only=True)
class CityOptions:
    """Which city, which model and how many photos."""

    out: Path = option(metavar="DIR")
    """Keeps the city, its index, the vectors of its photos, and the tables."""
    model: str = "shipped:demo"
    """Of the index."""
    seed: int = 7
    """Which city; the next number is the other city."""
    side_km: float = 11.5
    """Its side."""
    photos: int = 2000
    """How many photos like the calibration photos are asked about, and tell of decisions."""
    calibration_photos: int = 2000
    """How many others calibrate."""
    each: int = 300
    """How many photos of each further condition, and of the other city."""
    drives: int = 100
    """Drives of 12 frames to calibrate on; as many others are asked about."""
    photos_of: Path | None = option(None, metavar="DIR")
    """Folder or manifest of real photos of anywhere, all foreign: none should be promised."""
    quiet: bool = False
    """No progress."""

    def __post_init__(self) -> None:
        check_range(self, 1.5, "side_km", most=40)
        check_range(self, 50, "photos", "calibration_photos")
        check_range(self, 10, "each", "drives")
        check_range(self, 0, "seed")


@dataclass(frozen=True, eq=False)
class PromiseCity:
    """An indexed city that is not calibrated, and photos with their vectors."""

    geolocator: Geolocator
    photos: PhotoVectors
    calibration: PhotoVectors
    conditions: dict[str, PhotoVectors]
    drives: tuple[PhotoVectors, PhotoVectors]
    """Frames of drives to calibrate on, and of others."""
    turned: PhotoVectors
    """Views of one spot each, spot after spot."""
    apart: PhotoVectors
    """Photos 100 m apart, place after place."""
    foreign: tuple[PhotoVectors, PhotoVectors]
    """Of another city: to calibrate on, and others."""
    real: PhotoVectors | None


def open_city(options: CityOptions) -> PromiseCity:
    """Draw, index and encode, as far as that was not done before."""
    import numpy as np

    from gair.model import Gair
    from indexer.photos.vectors import photo_vectors
    from indexer.search.geolocator import Geolocator
    from training.synthetic.album import Sequences
    from training.synthetic.city import City

    city = City(options.seed, options.side_km * 1000)
    other = dataclasses.replace(city, seed=options.seed + 1)
    several = max(10, options.drives // 2)
    driven = Sequences(2 * options.drives, FRAMES, STEP_M)
    turned = Sequences(several, VIEWS, 0.0, 360 / VIEWS)
    home = _drawn(options, city, "day", photos=options.photos, dates=1)
    manifests = [
        home / "photos.csv",
        home / "calibration.csv",
        *(
            _drawn(options, city, mix, photos=options.each, mix=mix) / "photos.csv"
            for mix in CONDITIONS
        ),
        _drawn(options, city, "drives", sequences=driven) / "photos.csv",
        _drawn(options, city, "turned", sequences=turned) / "photos.csv",
        _drawn(options, city, "apart", sequences=Sequences(several, VIEWS, APART_M)) / "photos.csv",
        _drawn(options, other, "other", photos=2 * options.each) / "photos.csv",
    ]
    model = Gair.from_pretrained(options.model)
    geolocator = Geolocator.open(index_city(options.out, home, model), model=model)

    def encoded(photos: Path) -> PhotoVectors:
        cache = options.out / "vectors"
        return photo_vectors(geolocator, photos, cache=cache, quiet=options.quiet)

    day, calibration, *conditions, drives, turns, apart, foreign = map(encoded, manifests)
    half, frames = options.drives * FRAMES, np.arange(len(drives))
    strangers = np.arange(len(foreign))
    return PromiseCity(
        geolocator,
        day,
        calibration,
        dict(zip(CONDITIONS, conditions, strict=True)),
        (drives.taken(frames[:half]), drives.taken(frames[half:])),
        turns,
        apart,
        (foreign.taken(strangers[: options.each]), foreign.taken(strangers[options.each :])),
        None if options.photos_of is None else encoded(options.photos_of),
    )


def _drawn(
    options: CityOptions,
    city: City,
    kind: str,
    *,
    photos: int = 0,
    mix: Mix = "day",
    sequences: Sequences | None = None,
    dates: int = 0,
) -> Path:
    """A folder of photos; with scenes and calibration photos where there are dates."""
    from training.synthetic.files import MANIFEST, write_city

    count = photos if sequences is None else sequences.count * sequences.frames
    of = options.calibration_photos if dates else 0
    home = options.out / f"{city.name}-{options.side_km:g}km-{kind}-{count}{f'-{of}' if of else ''}"
    if not (home / MANIFEST).is_file():  # written last
        write_city(
            city,
            home,
            photos=photos,
            calibration_photos=of,
            dates=dates,
            mix=mix,
            sequences=sequences,
            quiet=options.quiet,
        )
    return home


def seen_of(photos: PhotoVectors, rows: Ints) -> Seen:
    """Photos of one place as a search sees them, from what is kept of them: no pixel is read.

    Raises:
        UsageError: one of them could not be read.
    """
    from PIL import Image

    from gair.photos.photo import Photo
    from indexer.search.scored import Seen

    picked = rows.tolist()
    if lost := [photos.photos[row].name for row in picked if row not in photos.conditions]:
        raise UsageError(f"{lost[0]} cannot be read")
    empty = Image.new("RGB", (1, 1))
    looks = [(photos.photos[row].name, photos.conditions[row]) for row in picked]
    each = [Photo(empty, name, None, content=name, conditions=look) for name, look in looks]
    return Seen(tuple(each), photos.s[rows])
