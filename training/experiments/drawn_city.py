"""Index of a synthetic city that an experiment drew, built once for each model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gair.model import Gair


def index_city(out: Path, home: Path, model: Gair) -> Path:
    """Index the imagery of a city, unless that was done before.

    Args:
        out: folder of the experiment; the index becomes a folder of it.
        home: of the city, with its ``imagery/``.
        model: encodes it.

    Returns:
        The folder of the index, named after the city and the model.
    """
    from indexer.build.build import BuildOptions, build_index
    from indexer.imagery import open_imagery
    from indexer.regions.region import Region
    from training.synthetic.city import ATTRIBUTION
    from training.synthetic.files import IMAGERY

    name = f"{home.name}-{model.fingerprint()[:8]}".replace(".", "-")
    if not (out / name / "CURRENT").is_file():
        with open_imagery(home / IMAGERY) as imagery:
            region = Region(home.name, imagery.coverage, attribution=ATTRIBUTION)
            build_index(name, region, imagery, model, out, options=BuildOptions(quiet=True))
    return out / name
