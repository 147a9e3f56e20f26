"""Lists photos: of a folder, by their GPS tags, or of a CSV or Parquet manifest.

A manifest has a row a photo; its columns may be called, in any case:

==============  =========================================  ======================================
file            file, path, filename, image, sv_image      relative to the manifest
latitude        lat, latitude                              degrees
longitude       lon, lng, long, longitude                  degrees
id              id, photo_id                               optional; else the file's name
heading         heading, compass_angle                     optional; degrees clockwise from north
capture date    captured_at, date, timestamp               optional; ISO 8601 or milliseconds
licence         licence, license                           optional
source          source, url                                optional
credit          attribution, credit                        optional; shown with the photo
place           city, place                                optional; unit of splitting
sequence        sequence, sequence_id                      optional; photos of one walk or drive
link            link, permalink                            optional; where to look at it
condition       condition                                  optional; such as day and night
==============  =========================================  ======================================

Where a text file separates columns by semicolons, decimal commas are read as points.

Nothing is judged here but what cannot even be read; whoever uses the photos does the rest.
"""

from __future__ import annotations

import contextlib
import csv
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gair.errors import DatasetError, UsageError
from gair.files import check_is_file, open_text
from gair.photos.exif import parse_date, parse_heading_deg, read_tags

BROKEN = "photo broken or too large"
"""Why a photo of a folder is left out before anything else is asked."""

NO_FILE = "photo cannot be opened"
"""Begins why one is left out that is a pipe, a device or a socket, or a link to nothing."""

PHOTO_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .png .webp .tif .tiff .avif .heic .heif .gif .bmp".split()
)
"""Names that count as photos in a folder, in any case."""

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "file": ("file", "path", "filename", "image", "sv_image"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "long", "longitude"),
    "id": ("id", "photo_id"),
    "heading": ("heading", "compass_angle"),
    "captured_at": ("captured_at", "date", "timestamp"),
    "licence": ("licence", "license"),
    "source": ("source", "url"),
    "attribution": ("attribution", "credit"),
    "place": ("city", "place"),
    "sequence": ("sequence", "sequence_id"),
    "link": ("link", "permalink"),
    "condition": ("condition",),
}
"""What a manifest may say of a photo, and the column names for it; the first that is there counts.
"""

_NUMERIC = frozenset(alias for field in ("lat", "lon", "heading") for alias in COLUMNS[field])
_COMMA_NUMBER = re.compile(r"\s*[+-]?\d+,\d+\s*")
"""48,77: in France, Germany and others a spreadsheet writes numbers so."""


@dataclass(frozen=True, slots=True)
class ListedPhoto:
    """A photo that a folder or a manifest lists."""

    name: str
    """What the folder or the manifest calls it, with slashes."""
    path: Path
    photo_id: str
    lonlat_deg: tuple[float, float] | None
    """Longitude, latitude as given, unchecked: NaN or out of range at worst; None if not given."""
    place: str = ""
    """City or the like; empty where nothing names one."""
    heading_deg: float | None = None
    """Clockwise from north."""
    captured_at: str | None = None
    """ISO 8601."""
    licence: str = ""
    source: str = ""
    attribution: str = ""
    """Credit that the licence asks for."""
    sequence: str = ""
    """Names the walk or drive that it is a part of; empty for a photo by itself."""
    condition: str = ""
    """Names what it was taken under, such as ``night``; empty where nothing does."""
    link: str = ""
    """Where a person can look at it."""
    left_out: str = ""
    """Why it cannot be used, as far as reading it has shown; empty if nothing is wrong so far."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """What further columns of the manifest say, by the names they were asked for."""


def read_photos(
    path: Path | str, *, extra: Sequence[str] = (), if_there: Sequence[str] = ()
) -> list[ListedPhoto]:
    """The photos of a folder, by name, or of a manifest, in its order.

    Args:
        path: a folder, or a CSV or Parquet file.
        extra: further columns of the manifest to keep as text.
        if_there: the same for columns that it need not have.

    Raises:
        DatasetError: There is nothing there, it cannot be read, or it lists no photo.
        UsageError: The path is neither a folder nor a manifest, or columns are missing.
    """
    path = Path(path)
    if extra and path.is_dir():
        raise UsageError(f"{path} is a folder, which has no column {extra[0]!r}: give a manifest")
    if not path.exists():
        raise DatasetError(f"no photos at {path}: give a folder, or a .csv or .parquet manifest")
    if path.is_dir():
        photos = [_from_tags(file, path) for file in photo_files(path)]
        nothing = f"no photo in {path}: give a folder with {', '.join(sorted(PHOTO_SUFFIXES))}"
    else:
        photos = list(_from_manifest(path, extra, if_there))
        nothing = f"{path} lists no photos: it needs a row a photo"
    if not photos:
        raise DatasetError(nothing)
    return photos


def photo_files(folder: Path) -> list[Path]:
    """The files of a folder, at any depth, whose names are those of photos; by name.

    Raises:
        DatasetError: it, or a folder in it, cannot be looked into.
    """

    def refuse(error: OSError) -> None:
        raise DatasetError(
            f"cannot look into {error.filename}: {error.strerror}; make it readable"
        ) from error

    photos: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        photos += [
            Path(parent, file)
            for file in files
            if not file.startswith(".") and Path(file).suffix.lower() in PHOTO_SUFFIXES
        ]
    return sorted(photos, key=lambda file: file.relative_to(folder).as_posix())


def _from_tags(file: Path, folder: Path) -> ListedPhoto:
    # A file name may hold any bytes, a data set only text.
    name = os.fsencode(file.relative_to(folder).as_posix()).decode("utf-8", "backslashreplace")
    try:
        check_is_file(file)
    except OSError as error:
        return ListedPhoto(name, file, name, None, left_out=f"{NO_FILE}: {error.strerror}")
    tags = read_tags(file)
    if tags is None:
        return ListedPhoto(name, file, name, None, left_out=BROKEN)
    return ListedPhoto(
        name=name,
        path=file,
        photo_id=name,
        lonlat_deg=tags.lonlat_deg,
        heading_deg=tags.heading_deg,
        captured_at=tags.captured_at,
    )


def _from_manifest(
    path: Path, extra: Sequence[str], if_there: Sequence[str]
) -> Iterator[ListedPhoto]:
    readers = {".csv": _csv_rows, ".tsv": _csv_rows, ".parquet": _parquet_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path} is neither a folder nor a {', '.join(readers)} manifest of photos"
        )
    header, rows = reader(path, (*extra, *if_there))
    columns = _columns(path, header)
    if unknown := [name for name in extra if name not in header]:
        raise UsageError(
            f"{path} has no column {unknown[0]!r}: its columns are {', '.join(header)}"
        )
    kept = [*extra, *(name for name in if_there if name in header)]
    for row in rows:
        cell = {field: row.get(column) for field, column in columns.items()}
        name = _text(cell.get("file"))
        yield ListedPhoto(
            name=name or "(a row without a file)",
            path=path.parent / name,
            photo_id=_text(cell.get("id")) or name,
            lonlat_deg=_lonlat_deg(cell["lon"], cell["lat"]),
            place=_text(cell.get("place")),
            heading_deg=parse_heading_deg(cell.get("heading")),
            captured_at=parse_date(cell.get("captured_at")),
            licence=_text(cell.get("licence")),
            source=_text(cell.get("source")),
            attribution=_text(cell.get("attribution")),
            sequence=_text(cell.get("sequence")),
            condition=_text(cell.get("condition")),
            link=_text(cell.get("link")),
            extra={name: _text(row.get(name)) for name in kept},
        )


def _columns(path: Path, header: Iterable[str]) -> dict[str, str]:
    """The column of each field that the manifest has."""
    by_name: dict[str, str] = {}
    for column in header:
        by_name.setdefault(column.strip().lower(), column)
    columns = {
        field: by_name[next(alias for alias in aliases if alias in by_name)]
        for field, aliases in COLUMNS.items()
        if any(alias in by_name for alias in aliases)
    }
    missing = [
        " or ".join(COLUMNS[field]) for field in ("file", "lat", "lon") if field not in columns
    ]
    if missing:
        has = ", ".join(repr(column) for column in header) or "none"
        raise UsageError(
            f"{path} has no column {'; no column '.join(missing)}: its columns are {has}"
        )
    return columns


Row = Mapping[str, object]


def _csv_rows(path: Path, extra: Sequence[str]) -> tuple[list[str], Iterable[Row]]:
    """Columns and rows; separated by commas, semicolons or tabs, whichever the first line has."""
    with _reading(path), open_text(path, encoding="utf-8-sig") as file:
        first_line = file.readline()
        separator = max(",;\t", key=first_line.count)
        header = next(csv.reader([first_line], delimiter=separator), [])

    def rows() -> Iterator[Row]:
        with _reading(path), open_text(path, encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, delimiter=separator):
                if separator == ";":
                    row |= {name: _with_point(row.get(name)) for name in numeric}
                yield row

    numeric = [c for c in header if c in extra or c.strip().lower() in _NUMERIC]
    return header, rows()


def _with_point(text: str | None) -> str | None:
    """A number with a decimal point instead of a comma; what is no such number as it is."""
    return text.replace(",", ".") if text and _COMMA_NUMBER.fullmatch(text) else text


def _parquet_rows(path: Path, extra: Sequence[str]) -> tuple[list[str], Iterable[Row]]:
    from pyarrow.parquet import ParquetFile

    read = {alias for aliases in COLUMNS.values() for alias in aliases}
    with _reading(path):
        check_is_file(path)
    with _reading(path), ParquetFile(path) as file:
        header = list(file.schema_arrow.names)

    def rows() -> Iterator[Row]:
        wanted = [c for c in header if c in extra or c.strip().lower() in read]
        with _reading(path), ParquetFile(path) as file:
            for batch in file.iter_batches(columns=wanted):
                yield from batch.to_pylist()

    return header, rows()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what can go wrong while reading a manifest into :class:`DatasetError`."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    except (csv.Error, OSError, ValueError) as error:  # ValueError: pyarrow's are
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise DatasetError(f"cannot read {path}: {reason}; export the manifest again") from error


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _lonlat_deg(lon: object, lat: object) -> tuple[float, float] | None:
    """None where one of the two is empty; NaN for what is no number."""
    if not (_text(lon) and _text(lat)):
        return None
    return _number(lon), _number(lat)


def _number(value: object) -> float:
    try:
        return float(_text(value))
    except ValueError:
        return math.nan
