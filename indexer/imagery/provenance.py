"""Provenance of a scene: when and how it was made, as far as its files say so.

Nothing here changes a pixel, and no offset is ever derived from a date. What a product says about
the offset of its digital numbers is taken from its metadata file, else from the processing baseline
in its name (:mod:`indexer.imagery.baseline`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gair.bands import LAYOUTS
from gair.errors import ImageryError
from gair.files import read_file
from indexer.imagery.baseline import OFFSET, Baseline, baseline_in_name, read_baseline

LICENCE = (
    "Copernicus Sentinel data: free, full and open access, "
    "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"
)
"""Terms of the data."""
SYNTHETIC_TAG = "SYNTHETIC"
"""GDAL metadata item of a raster whose pixels no sensor recorded; its value is the credit line. The
licence of such a raster is in the TIFF tag for it, ``TIFFTAG_COPYRIGHT``."""

_STAMP = re.compile(r"(?<!\d)(\d{8}T\d{6})(?!\d)")
_PRODUCT = re.compile(r"MSI(L1C|L2A)_|(?<![A-Z0-9])(L1C|L2A)_T\d{2}[A-Z]{3}")
_ID_TAGS = ("PRODUCT_ID", "PRODUCT_URI", "GRANULE_ID", "DATATAKE_IDENTIFIER", "system-index")
_MILLISECOND_TAGS = ("system-time_start", "system:time_start")
_EARTH_ENGINE_TAGS = ("system-index", "system:index", *_MILLISECOND_TAGS)
_PRODUCT_TAGS = ("PRODUCT_ID", "PRODUCT_URI", "GRANULE_ID")
_OFFSET = re.compile(r"<(?:\w+:)?(?:BOA|RADIO)_ADD_OFFSET\b[^>]*>\s*([^<]*?)\s*<")
_URI = re.compile(r"<(?:\w+:)?PRODUCT_URI[^>]*>\s*([^<]*?)\s*<")
_BASELINE = re.compile(r"<(?:\w+:)?PROCESSING_BASELINE[^>]*>\s*([^<]*?)\s*<")
_TILE_ID = re.compile(r"<(?:\w+:)?TILE_ID[^>]*>[^<]*_N(\d{2}\.\d{2})\s*<")
_SAFE_DEPTH = 5  # PRODUCT.SAFE/GRANULE/TILE/IMG_DATA/R10m


@dataclass(frozen=True)
class Synthetic:
    """Made-up imagery, as its files describe it."""

    credit: str
    """Shown where real imagery has its attribution."""
    licence: str
    """Terms of the data; empty when nothing says."""


@dataclass(frozen=True)
class ProductOffset:
    """What a product says must be added to its digital numbers, as delivered."""

    dn: int
    """0 where it says that nothing must."""
    source: str
    """What says so, for people: a metadata file, or the baseline in a name."""
    perhaps_applied: bool = False
    """Whether who exported the pixels may have added it and kept the product's name: Earth Engine's
    harmonised collection does (https://developers.google.com/earth-engine/datasets/catalog/
    COPERNICUS_S2_SR_HARMONIZED)."""


@dataclass(frozen=True)
class Provenance:
    """Where a scene comes from."""

    acquired: datetime | None
    """UTC; None when nothing says."""
    level: str
    """``L1C`` (top of atmosphere), ``L2A`` (surface reflectance) or ``unknown``."""
    product_offset: ProductOffset | None = None
    """None where neither metadata nor a name says."""
    synthetic: Synthetic | None = None
    """Whose work the pixels are if they are made up; None for Sentinel-2 data."""

    @property
    def product_offset_dn(self) -> int:
        """What the product says must be added to its digital numbers; 0 where nothing says."""
        return self.product_offset.dn if self.product_offset else 0


def read_provenance(path: Path, tags: Mapping[str, str], bands: Collection[str]) -> Provenance:
    """Read what a file, its name and its product's metadata tell.

    Args:
        path: A raster of the scene.
        tags: Its tags.
        bands: Sentinel-2 names of all bands there are, also those the model does not take.
    """
    metadata = _product_metadata(path)
    return Provenance(
        acquired=_acquired(path, tags),
        level=_level([*_ids(tags), str(path), *(file.name for file in metadata)], bands),
        product_offset=_product_offset(path, tags, metadata),
        synthetic=_synthetic(tags),
    )


def attribution(dates: Iterable[datetime | None]) -> str:
    """The credit line that Copernicus asks for, with the years of the data where known."""
    years = sorted({date.year for date in dates if date is not None})
    return " ".join(
        ["Contains modified Copernicus Sentinel data", ", ".join(map(str, years))]
    ).strip()


def terms(scenes: Sequence[Provenance]) -> tuple[str, str]:
    """Attribution and licence of imagery of several scenes: each that applies, once."""
    made_up = [scene.synthetic for scene in scenes if scene.synthetic]
    credits, licences = [s.credit for s in made_up], [s.licence for s in made_up if s.licence]
    if len(made_up) < len(scenes):
        credits.insert(0, attribution(s.acquired for s in scenes if not s.synthetic))
        licences.insert(0, LICENCE)
    return "; ".join(dict.fromkeys(credits)), "; ".join(dict.fromkeys(licences))


def _acquired(path: Path, tags: Mapping[str, str]) -> datetime | None:
    for tag in _MILLISECOND_TAGS:
        if re.fullmatch(r"\d{1,14}", tags.get(tag, "")):
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(tags[tag]))
    products = [folder.name for folder in path.parents if _PRODUCT.search(folder.name)]
    for text in (*_ids(tags), path.name, *products):
        for stamp in _STAMP.findall(text):
            if date := _parse(stamp, "%Y%m%dT%H%M%S"):
                return date
    # Last, because many programs write the time of the export here.
    return _parse(tags.get("TIFFTAG_DATETIME", ""), "%Y:%m:%d %H:%M:%S")


def _parse(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text, pattern).replace(tzinfo=UTC)
    except ValueError:
        return None


def _ids(tags: Mapping[str, str]) -> list[str]:
    return [tags[tag] for tag in _ID_TAGS if tag in tags]


def _level(texts: Iterable[str], bands: Collection[str]) -> str:
    for text in texts:
        if match := _PRODUCT.search(text):
            return match.group(1) or match.group(2)
        if "MTD_MSIL" in text:
            return text.removeprefix("MTD_MSI")[:3]
    if "B10" in bands:  # cirrus: sees no ground, so Level-2A drops it
        return "L1C"
    return "L2A" if set(bands) >= set(LAYOUTS["l2a-12"]) else "unknown"


def _synthetic(tags: Mapping[str, str]) -> Synthetic | None:
    credit = tags.get(SYNTHETIC_TAG, "").strip()
    return Synthetic(credit, tags.get("TIFFTAG_COPYRIGHT", "").strip()) if credit else None


def _product_metadata(path: Path) -> list[Path]:
    """The metadata file of the SAFE product that a file lies in, if any."""
    for folder in path.parents[:_SAFE_DEPTH]:
        if metadata := sorted(folder.glob("MTD_MSIL*.xml")):
            return metadata[:1]
        if "_MSIL" in folder.name:  # what lies above a product's own folder is not of it alone
            return []
    return []


def _product_offset(
    path: Path, tags: Mapping[str, str], metadata: Sequence[Path]
) -> ProductOffset | None:
    """What the product's metadata file says, else the baseline in its name."""
    for file in metadata:
        text = _read(file)
        if _is_of_another(text, path, file):
            continue
        if (offset_dn := _offset_in(text, file)) is not None:
            return ProductOffset(offset_dn, file.name)
        stated = _BASELINE.search(text)
        if stated and (baseline := read_baseline(stated.group(1))):
            return _of_baseline(baseline, f"in {file.name}")
    names = (path.name, *(folder.name for folder in path.parents[:_SAFE_DEPTH]))
    for name in names:
        if baseline := baseline_in_name(name.upper()):
            return _of_baseline(baseline, "in its name")
    if baseline := _baseline_of_granule(path):
        return _of_baseline(baseline, "in MTD_TL.xml")
    for tag in _PRODUCT_TAGS:
        if baseline := baseline_in_name(tags.get(tag, "").upper()):
            exported = any(name in tags for name in _EARTH_ENGINE_TAGS)
            return _of_baseline(baseline, f"in the tag {tag}", perhaps_applied=exported)
    return None


def _of_baseline(baseline: Baseline, where: str, *, perhaps_applied: bool = False) -> ProductOffset:
    offset_dn = -round(OFFSET * 10000) if baseline.stored_higher else 0
    return ProductOffset(offset_dn, f"the baseline {baseline} {where}", perhaps_applied)


def _offset_in(text: str, file: Path) -> int | None:
    """The one offset that a metadata file states for its bands; None where it states none."""
    stated = set(_OFFSET.findall(text))
    try:
        values = {float(value) for value in stated}
    except ValueError:
        values = set()
    if not stated:
        return None
    if len(values) != 1 or not (value := values.pop()).is_integer():
        raise ImageryError(
            f"{file} states {', '.join(sorted(stated))} as the offset of its bands, where one "
            "whole number is expected: fetch the file again, or take it out and pass `dn_offset`"
        )
    return int(value)


def _is_of_another(text: str, path: Path, metadata: Path) -> bool:
    """Whether a metadata file is of another product than the one that the raster's name tells."""
    uri = _URI.search(text)
    days = {stamp[:8] for stamp in _STAMP.findall(uri.group(1))} if uri else set()
    between = [folder.name for folder in path.parents if metadata.parent in folder.parents]
    for name in (path.name, *(name for name in between if "_MSIL" in name)):
        if named := {stamp[:8] for stamp in _STAMP.findall(name)}:
            return bool(days) and not days & named
    return False


def _baseline_of_granule(path: Path) -> Baseline | None:
    """From the metadata of the granule, which is left where only one was kept of a product."""
    for folder in path.parents[:3]:  # GRANULE_FOLDER/IMG_DATA/R10m
        if (file := folder / "MTD_TL.xml").is_file():
            stated = _TILE_ID.search(_read(file))
            return read_baseline(stated.group(1)) if stated else None
    return None


def _read(file: Path) -> str:
    try:
        return read_file(file).decode(errors="replace")
    except OSError as error:
        raise ImageryError(f"cannot read {file}: {error.strerror}; make it readable") from error
