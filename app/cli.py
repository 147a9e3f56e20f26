"""The command that serves the page: ``python -m app --index london``, or ``gair-app``."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.examples import read_samples
from app.options import ServerOptions, TileSource, check_free
from gair.command import complain, sigterm_as_ctrl_c
from gair.errors import GairError

if TYPE_CHECKING:
    from indexer.geolocate import Geolocator

DESCRIPTION = """\
Serve a page where a street photo is dropped and the places it may show come back ranked, on a map.

The photo is compared with every cell of one index: with the satellite imagery there and with the
coordinates themselves. Only pixels count; coordinates in the photo's EXIF tags are shown, never
used. Everything runs on this machine and the page loads nothing from anywhere else."""

EPILOG = """\
examples:
  python -m app --index london                       the index indexes/london, at 127.0.0.1:7860
  python -m app --index london --open                the same, and open it in a browser
  python -m app --index toy --indexes /data/indexes  an index kept elsewhere
  python -m app --index london --examples photos/    photos to try with one click
  python -m app --index london --port 8000 \\
      --tiles 'https://tiles.example.org/{z}/{x}/{y}.png' --tiles-attribution '© Example'
                                                     a background map; browsers then fetch tiles

Build an index first: python -m indexer build --help

From Python, with the page running:
  from gradio_client import Client, handle_file
  Client("http://127.0.0.1:7860").predict(handle_file("photo.jpg"), api_name="/search")"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments; those of the process unless given.

    Returns:
        The exit status: 0 after Ctrl-C, else that of the error.
    """
    args = build_parser().parse_args(argv)
    try:
        return _serve(args)
    except GairError as error:
        complain(error)
        return error.exit_status
    except KeyboardInterrupt:
        return 0


def build_parser() -> argparse.ArgumentParser:
    """The flags, apart from :func:`main` so that documentation can be made from them."""
    parser = argparse.ArgumentParser(
        prog="python -m app",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to search")
    what.add_argument(
        "--index", metavar="NAME", help="name of the index (default: the only one there is)"
    )
    what.add_argument(
        "--indexes",
        default=Path("indexes"),
        type=Path,
        metavar="DIR",
        help="folder that holds the indexes (default: %(default)s)",
    )
    what.add_argument(
        "--model", metavar="SPEC", help="model to query with (default: the one the index names)"
    )
    what.add_argument(
        "--examples",
        type=Path,
        metavar="PATH",
        help="photos that the page offers to try, the first 24 of a folder or of a CSV file with a "
        "column 'file'; whoever opens the page can see them",
    )
    what.add_argument(
        "--imagery-share",
        type=float,
        metavar="X",
        help="weight of the imagery that the page starts with, 0 to 1, the location embedding has "
        "the rest; 1 for a region the model was not trained in (default: as the index was "
        "calibrated, or 0.5)",
    )
    where = parser.add_argument_group("where to serve")
    where.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    where.add_argument("--port", default=7860, type=int, help="port (default: %(default)s)")
    where.add_argument("--open", action="store_true", help="open the page in a browser")
    where.add_argument(
        "--allow-remote",
        action="store_true",
        help="allow a --host that other machines reach; there is no password",
    )
    tiles = parser.add_argument_group("background map (default: none, the page works offline)")
    tiles.add_argument("--tiles", metavar="URL", help="tiles, with {z}, {x} and {y} in the URL")
    tiles.add_argument(
        "--tiles-attribution", metavar="TEXT", help="credit the tiles ask for; needed with --tiles"
    )
    return parser


def _serve(args: argparse.Namespace) -> int:
    options = ServerOptions(
        host=args.host,
        port=args.port,
        open_browser=args.open,
        allow_remote=args.allow_remote,
        tiles=TileSource.from_flags(args.tiles, args.tiles_attribution),
        imagery_share=args.imagery_share,
        examples=tuple(read_samples(args.examples)) if args.examples else (),
    )
    check_free(options.host, options.port)
    # Heavy imports come after every check that needs none of them.
    from app.server import serving
    from indexer.geolocate import Geolocator

    print(f"opening {args.index or 'the index'} ...", flush=True)
    geo = Geolocator.open(args.index, indexes_dir=args.indexes, model=args.model)
    with sigterm_as_ctrl_c(), serving(geo, options) as url:
        print(ready_text(geo, url), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("\nstopped; uploaded photos are deleted")
    return 0


def ready_text(geo: Geolocator, url: str) -> str:
    """What the terminal says once the page can be used."""
    manifest = geo.index.manifest
    lines = [
        f"index     {geo.index.name} ({manifest.cells_indexed:,} cells, build {manifest.build})",
        f"model     {geo.model_name}, licence {geo.model_licence}",
        f"imagery   {geo.attribution}",
        *(f"warning   {warning}" for warning in geo.warnings),
        f"ready at  {url}   (Ctrl-C stops)",
    ]
    return "\n".join(lines)
