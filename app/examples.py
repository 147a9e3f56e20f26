"""Sample photos of a manifest or a folder, and small pictures of them for the page."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from gair.errors import UsageError
from gair.files import open_text

MANIFEST = "photos.csv"
"""The manifest of a folder of photos, as ``python -m training.synthetic city`` writes it."""
MOST_EXAMPLES = 24
"""Most photos that the page offers."""

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_THUMBNAIL_PX = (192, 144)
_SYNTHETIC = "synthetic:"


@dataclass(frozen=True)
class Sample:
    """A photo that somebody may try."""

    photo: Path
    lonlat_deg: tuple[float, float] | None = None
    """Where it was taken, degrees; None if nothing says. The page never shows it."""
    synthetic: bool = False
    """Whether its manifest says that it shows no place on Earth."""


def read_samples(source: Path) -> list[Sample]:
    """The photos of a manifest, or of a folder: those of its ``photos.csv``, else all in it.

    Args:
        source: A folder, or a CSV file with a column ``file`` (a path, relative to the CSV's
            folder) and, if known, ``lat``, ``lon`` and ``source``.

    Returns:
        In the order of the manifest, or by name.

    Raises:
        UsageError: There is no photo, or the manifest cannot be read.
    """
    if source.is_dir() and not (source / MANIFEST).is_file():
        samples = [
            Sample(path) for path in sorted(source.iterdir()) if path.suffix.lower() in _SUFFIXES
        ]
    else:
        samples = _of_manifest(source / MANIFEST if source.is_dir() else source)
    if not samples:
        raise UsageError(
            f"{source} has no photos: give a folder of {', '.join(_SUFFIXES)} files, or a CSV "
            "file that names them in a column 'file'"
        )
    return samples


def _of_manifest(manifest: Path) -> list[Sample]:
    try:
        with open_text(manifest) as file:
            return [_of_row(row, manifest) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, ValueError) as error:
        reason = f"no column {error}" if isinstance(error, KeyError) else error
        raise UsageError(
            f"{manifest} is no manifest of photos ({reason}): give a folder of photos, or a CSV "
            "file with the column 'file' and, if known, 'lat' and 'lon'"
        ) from error


def _of_row(row: dict[str, str | None], manifest: Path) -> Sample:
    name, lon, lat = row["file"], row.get("lon"), row.get("lat")
    if not name:
        raise ValueError("a row names no file")
    place = (float(lon), float(lat)) if lon and lat else None
    if place and not all(map(math.isfinite, place)):
        raise ValueError(f"{name} was taken at {lat}, {lon}")
    synthetic = (row.get("source") or "").startswith(_SYNTHETIC)
    return Sample(manifest.parent / name, place, synthetic)


def stem_of(name: str) -> str:
    """A file name without its suffix, safe as part of another file name."""
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(name).stem)
    return stem.strip("-")[:60] or "photo"


def thumbnail_jpeg(photo: Path) -> bytes:
    """A small upright picture of a photo, without metadata.

    Raises:
        PhotoError: It cannot be read.
    """
    from gair.photos.photo import open_photo

    small = open_photo(photo).rgb
    small.thumbnail(_THUMBNAIL_PX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
