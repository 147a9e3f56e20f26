"""Are the packages there that catalogues are read with? They are an extra."""

from __future__ import annotations

from importlib.util import find_spec

from gair.errors import ImageryError

PACKAGES = {"pystac_client": "pystac-client", "odc.stac": "odc-stac"}
"""Modules, and the packages they come in."""


def require_packages() -> None:
    """Check that what catalogues are read with is installed.

    Raises:
        ImageryError: It is not.
    """
    if missing := [package for module, package in PACKAGES.items() if not _installed(module)]:
        raise ImageryError(
            f"--imagery stac needs {' and '.join(missing)}: pip install 'gair-geolocator[stac]', "
            "or give local files with --imagery PATH"
        )


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False
