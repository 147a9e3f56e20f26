"""Flags that both ``pack`` and ``streetscapes`` have, and what they say."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.dataset.pack.options import ImageryOptions


def add_result(add: Any) -> None:  # noqa: ANN401
    """Add flags on the data set that is made."""
    add("--overwrite", action="store_true", help="replace the data set that is there")
    add("--synthetic", action="store_true", help="photos and imagery are made up: record that")
    add(
        "--max-px",
        type=int,
        default=1024,
        metavar="PX",
        help="longest side of a photo; larger ones are shrunk (default: %(default)s)",
    )
    add("--quiet", action="store_true", help="no progress")


def add_reading(add: Any) -> None:  # noqa: ANN401
    """Add flags on how imagery is read."""
    add(
        "--date-from-name",
        action="store_true",
        help="take the day from file names such as city_20240131.tif before the metadata",
    )
    add(
        "--bands",
        metavar="LIST",
        help="bands in files that do not name them: gair-10, l2a-12, l1c-13, or B2,B3,...",
    )
    add(
        "--dn-scale",
        type=float,
        default=1.0,
        metavar="X",
        help="multiply pixels by this to get reflectance x 10000 (10000 for reflectance in 0..1)",
    )
    add(
        "--dn-offset",
        type=float,
        default=0.0,
        metavar="X",
        help="then add this (-1000 for ESA products of baseline 04.00 and later)",
    )


def add_footprint(add: Any) -> None:  # noqa: ANN401
    """Add flags on the squares of imagery."""
    add(
        "--footprint-m",
        type=float,
        metavar="M",
        help="side of a footprint in Web-Mercator metres; on the ground it is this times "
        "cos(latitude) (default: 2446, a zoom-14 tile)",
    )
    add(
        "--min-valid",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="leave out frames with less imagery than this (default: %(default)s)",
    )


def add_split(add: Any) -> None:  # noqa: ANN401
    """Add flags on training, validation and test."""
    add(
        "--shares",
        default="0.8,0.1,0.1",
        metavar="T,V,T",
        help="shares of train, val and test (default: %(default)s)",
    )
    add(
        "--buffer-m",
        type=float,
        default=500.0,
        metavar="M",
        help="least gap between footprints of different splits; photos in it are left out "
        "(default: %(default)g)",
    )


def reading_options(arguments: argparse.Namespace) -> ImageryOptions:
    """How imagery is read, from the flags of :func:`add_reading`.

    Raises:
        BandError: there is no such band.
        UsageError: a value cannot work.
    """
    from gair.bands import parse_bands
    from training.dataset.pack.options import ImageryOptions

    return ImageryOptions(
        bands=None if arguments.bands is None else parse_bands(arguments.bands),
        dn_scale=arguments.dn_scale,
        dn_offset=arguments.dn_offset,
        date_from_name=arguments.date_from_name,
    )


def footprint_side_m(arguments: argparse.Namespace) -> float:
    """Side of a footprint, EPSG:3857 metres, from the flags of :func:`add_footprint`."""
    from gair.config import GairConfig

    given: float | None = arguments.footprint_m
    return GairConfig.footprint_mercator_m if given is None else given
