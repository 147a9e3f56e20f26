"""Digital numbers from stored values, scene by scene, checked to be reflectance x 10000.

An offset is added once. The file's own tag is believed first, then what the product of the scene
says (:mod:`indexer.imagery.provenance`), and what a user states last: where they contradict, a note
names the scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from gair.arrays import Floats32
from gair.errors import ImageryError, UsageError
from indexer.imagery.missing_values import nodata_value, unmarked_in
from indexer.imagery.provenance import ProductOffset
from indexer.imagery.rasters import OpenFiles, gdal_errors
from indexer.imagery.scenes import Scene, SceneBand

DN_PER_REFLECTANCE = 10000.0
"""Digital numbers of a reflectance of 1, the convention of Sentinel-2 products."""

_SANE_MEDIAN_DN = (2.0, 20000.0)
_PER_CENT_TOP = 110.0  # per cent in all ten bands; as digital numbers that is ground of soot
_SAMPLE_PX = 256  # longest side of the coarse look at a scene
# Red ground that would be as far below 0 with the offset, and how much of it: the sensor gives no
# such ground (baseline 04.00 has -0.02 over water), and taking 0.1 off twice gives it for all that
# is darker than 0.05, such as water, woods and shadow.
_NEGATIVE_DN, _NEGATIVE_SHARE = -500.0, 0.05
_LEAST_EARTH_ENGINE_DN = 1000.0  # the darkest hundredth of pixels that are stored 1,000 too high


@dataclass(frozen=True)
class Scaling:
    """How stored values become digital numbers, where a user states it: ``dn * scale + offset``."""

    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise UsageError(f"`dn_scale` {self.scale} is not above 0: 1 leaves values as they are")
        if not math.isfinite(self.offset):
            raise UsageError(f"`dn_offset` {self.offset} is no number: 0 leaves values as they are")


@dataclass(frozen=True)
class BandScaling:
    """How the stored values of one band become digital numbers: tags first, then the rest."""

    tag_scale: float
    tag_offset_dn: float
    scale: float
    offset_dn: float

    def apply(self, values: Floats32) -> None:
        """Change stored values, in place."""
        if (self.tag_scale, self.tag_offset_dn) != (1.0, 0.0):
            values *= self.tag_scale
            values += self.tag_offset_dn
        if (self.scale, self.offset_dn) != (1.0, 0.0):
            values *= np.float32(self.scale)
            values += np.float32(self.offset_dn)


class Why(Enum):
    """What states the offset of a scene."""

    NOTHING = "nothing"
    USER = "dn_offset"
    TAG = "the tags of its files"
    PRODUCT = "its product"


@dataclass(frozen=True)
class SceneScaling:
    """How the stored values of one scene become digital numbers, and why."""

    bands: tuple[BandScaling, ...]
    """In the order of the scene's."""
    why: Why
    source: str
    """What states the offset, for people: a metadata file, a name, a tag."""
    notes: tuple[str, ...]
    """Sentences about the scene, without its name: a folder may have many alike."""
    unmarked: dict[float, float]
    """Share of pixels by stored value that stands for missing ground and that no tag marks so."""

    def apply(self, values: Floats32) -> Floats32:
        """(B, ...) stored values to digital numbers, in place."""
        for layer, band in zip(values, self.bands, strict=True):
            band.apply(layer)
        return values

    @property
    def offset_dn(self) -> float:
        """What is added to digital numbers; the lowest of bands that differ."""
        return min(band.tag_offset_dn + band.offset_dn for band in self.bands)


def scaling_of(scene: Scene, stated: Scaling, files: OpenFiles) -> SceneScaling:
    """How a scene is scaled, after a coarse look at its red band.

    Args:
        scene: the scene.
        stated: what the user says of all files.
        files: open ones.

    Raises:
        ImageryError: It is nodata all over, its tags cannot be, or its values are none that
            reflectance x 10000 has.
    """
    red = next(number for number, band in enumerate(scene.bands) if band.name == "B4")
    stored, unmarked = _look(scene.bands[red], files)
    if not stored.size:
        path = scene.bands[red].raster.path
        raise ImageryError(f"{path} is nodata all over: take it out, or fetch it again")
    tags = [_tags(band) for band in scene.bands]
    tagged = [_is_tagged(band) for band in scene.bands]
    notes: list[str] = []
    scales = [1.0 if own else stated.scale for own in tagged]
    if stated.scale != 1.0 and any(tagged):
        tag_scale = tags[tagged.index(True)][0] / DN_PER_REFLECTANCE
        notes.append(
            f"--dn-scale {stated.scale:g} is not applied, for the tags of the file state a scale "
            f"of {tag_scale:g}"
        )
    as_delivered = all(math.isclose(s * own, 1.0) for (s, _), own in zip(tags, scales, strict=True))
    plain = stored.copy()
    BandScaling(*tags[red], scales[red], 0.0).apply(plain)
    untagged = [not offset for _, offset in tags]
    product = scene.provenance.product_offset
    offset_dn, why, source = 0.0, Why.TAG, Why.TAG.value
    if any(untagged):
        offset_dn, why, source = _offset(
            product if as_delivered else None, stated.offset, plain, notes
        )
        if not as_delivered and product and product.dn and not stated.offset:
            notes.append(
                f"{product.source} asks for an offset of {product.dn}, which is not added to "
                f"pixels that are scaled: pass --dn-offset {product.dn} if it is in them still"
            )
    if not all(untagged) and stated.offset:
        tagged_dn = min(offset for _, offset in tags)
        notes.append(
            f"--dn-offset {stated.offset:g} is not added, for the tags of the file state an offset "
            f"of {tagged_dn:g} digital numbers already"
        )
    bands = tuple(
        BandScaling(*tag, scale, offset_dn if free else 0.0)
        for tag, scale, free in zip(tags, scales, untagged, strict=True)
    )
    scaling = SceneScaling(bands, why, source, tuple(notes), unmarked)
    _check(scene, scaling, red, stored, plain, files)
    return scaling


def _offset(
    product: ProductOffset | None, stated_dn: float, red: Floats32, notes: list[str]
) -> tuple[float, Why, str]:
    """What is added to the digital numbers of a scene, what says so, and its name.

    Args:
        product: what the scene's product says of pixels as delivered.
        stated_dn: what the user says; 0 for nothing.
        red: (N,) digital numbers of the red band without any offset.
        notes: sentences are added to them.
    """
    stated = (stated_dn, Why.USER if stated_dn else Why.NOTHING, "--dn-offset" if stated_dn else "")
    if product is None:
        return stated
    if product.dn == stated_dn:
        return stated_dn, Why.PRODUCT, product.source
    if product.dn and product.perhaps_applied:
        if not stated_dn and np.percentile(red, 1) >= _LEAST_EARTH_ENGINE_DN:
            notes.append(
                f"{product.source} asks for an offset of {product.dn}, and Earth Engine, which "
                f"exported it, may have added it: pass --dn-offset {product.dn} unless the pixels "
                "are of a collection whose name ends in HARMONIZED"
            )
        return stated
    offset_dn = product.dn
    if offset_dn and (red + offset_dn < _NEGATIVE_DN).mean() > _NEGATIVE_SHARE:
        notes.append(
            f"the offset of {offset_dn} that {product.source} asks for is not added, for ground "
            "would be far below 0: it was added before"
        )
        offset_dn = 0
    elif offset_dn:
        notes.append(f"an offset of {offset_dn} is added, as {product.source} says")
    if stated_dn:
        notes.append(
            f"--dn-offset {stated_dn:g} is not added, for {product.source} says {product.dn}"
        )
    return float(offset_dn), Why.PRODUCT, product.source


def _tags(band: SceneBand) -> tuple[float, float]:
    """Scale and offset that the file states for a band, to digital numbers; (1, 0) for none."""
    scale, offset = band.raster.scales[band.index - 1], band.raster.offsets[band.index - 1]
    if not (math.isfinite(scale) and scale > 0 and math.isfinite(offset)):
        raise ImageryError(
            f"{band.raster.path} states a scale of {scale:g} and an offset of {offset:g} for "
            f"{band.name}: mend them, for example with gdal_edit.py -scale 0.0001 -offset 0 FILE"
        )
    if (scale, offset) == (1.0, 0.0) or (scale == 1.0 and abs(offset) >= 2):
        return scale, offset  # none, or an offset in digital numbers: no reflectance is so far off
    return scale * DN_PER_REFLECTANCE, offset * DN_PER_REFLECTANCE


def _is_tagged(band: SceneBand) -> bool:
    return (band.raster.scales[band.index - 1], band.raster.offsets[band.index - 1]) != (1.0, 0.0)


def _look(band: SceneBand, files: OpenFiles) -> tuple[Floats32, dict[float, float]]:
    """(N,) stored values, some of all, without missing ones; and the shares of unmarked ones."""
    raster = band.raster
    shrink = max(1.0, max(raster.width, raster.height) / _SAMPLE_PX)
    shape = (max(1, round(raster.height / shrink)), max(1, round(raster.width / shrink)))
    with gdal_errors(raster.path):
        stored = files.dataset(raster.path).read(band.index, out_shape=shape).astype(np.float32)
    unmarked = unmarked_in(stored, raster)
    missing = np.isin(stored, np.array([*unmarked, nodata_value(raster)], dtype=np.float32))
    return stored[np.isfinite(stored) & ~missing], unmarked


def _check(
    scene: Scene,
    scaling: SceneScaling,
    red: int,
    stored: Floats32,
    plain: Floats32,
    files: OpenFiles,
) -> None:
    """Refuse a scene whose values are no digital numbers.

    Args:
        scene: the scene.
        scaling: how it is scaled.
        red: position of the red band.
        stored: (N,) of its pixels.
        plain: (N,) the same without an offset that is added.
        files: open ones.
    """
    raster = scene.bands[red].raster
    values = stored.copy()
    scaling.bands[red].apply(values)
    median, low, high = float(np.median(values)), *_SANE_MEDIAN_DN
    if low <= median <= high:
        if float(np.percentile(plain, 99)) > _PER_CENT_TOP or not _in_per_cent(
            scene, scaling, files
        ):
            return
        hint = "looks like reflectance in per cent, in all bands: pass `dn_scale` 100"
    elif 0 < float(np.median(plain)) < low:
        hint = "looks like reflectance in 0..1: pass `dn_scale` 10000"
    elif median < low:
        hint = "has nothing above 0: pass another `dn_offset`"
    else:
        hint = "is too bright for any ground: pass a `dn_scale` that makes reflectance 1 10000"
    if _is_tagged(scene.bands[red]):
        hint = f"{hint.split(':')[0]}, by the scale and offset of its tags: mend these"
    raise ImageryError(
        f"{raster.path}, band B4: a median of {median:.4g} where reflectance x 10000 is expected "
        f"{hint}"
    )


def _in_per_cent(scene: Scene, scaling: SceneScaling, files: OpenFiles) -> bool:
    """Whether no band has anything that would be above a hundredth of reflectance."""
    for band, steps in zip(scene.bands, scaling.bands, strict=True):
        stored, _ = _look(band, files)
        BandScaling(steps.tag_scale, steps.tag_offset_dn, steps.scale, 0.0).apply(stored)
        if stored.size and float(np.percentile(stored, 99)) > _PER_CENT_TOP:
            return False
    return True
