"""The command that serves the page: ``python -m app --index london``, or ``gair-app``."""

from __future__ import annotations

import argparse
import os
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.engine.limits import Limits
from app.examples import read_samples
from app.options import Credentials, ServerOptions, TileSource, check_free
from gair.command import complain, sigterm_as_ctrl_c
from gair.errors import GairError

if TYPE_CHECKING:
    from app.engine.uploads import Uploads
    from indexer.search.geolocator import Geolocator

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
  python -m app --index london --host 0.0.0.0 --auth @secret.txt
                                                     for other machines, with a password
  python -m app --index london --root-path /gair --public-host maps.example.org
                                                     behind a reverse proxy that strips /gair
  python -m app --index london --port 8000 \\
      --tiles 'https://tiles.example.org/{z}/{x}/{y}.png' --tiles-attribution '© Example'
                                                     a background map; browsers then fetch tiles

Build an index first: python -m indexer build --help

With the page running, over plain HTTP (/openapi.json describes it) and from Python:
  curl -F photo=@photo.jpg -F k=3 http://127.0.0.1:7860/search
  curl -F photo=@photo.jpg -F lat_deg=51.5 -F lon_deg=-0.12 http://127.0.0.1:7860/verify
  from gradio_client import Client, handle_file
  Client("http://127.0.0.1:7860").predict(handle_file("photo.jpg"), api_name="/search")

An uploaded photo's file is deleted when the first question about it is asked; the photo stays in
memory for 10 minutes, to be asked about again. Photos sent to /search and /verify are never
written to disk. HTTP is not encrypted: put a proxy with TLS in front where that matters.
/health says whether the server is up, how busy it is, and what it serves."""


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
        "--index",
        metavar="NAME",
        help="name of the index to start with (default: the only one there is); the others of "
        "--indexes can be chosen on the page and by programs",
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
    where = parser.add_argument_group("where to serve, and to whom")
    where.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    where.add_argument("--port", default=7860, type=int, help="port (default: %(default)s)")
    where.add_argument("--open", action="store_true", help="open the page in a browser")
    where.add_argument(
        "--auth",
        metavar="USER:PASSWORD",
        help="ask everybody for this name and password; @FILE reads them from a file's first line, "
        "where other users of this machine do not see them",
    )
    where.add_argument(
        "--no-auth-i-know",
        action="store_true",
        help="serve at a --host that other machines reach although there is no password",
    )
    where.add_argument(
        "--root-path",
        default="",
        metavar="PATH",
        help="path that a reverse proxy serves this under, and strips, like /gair",
    )
    where.add_argument(
        "--public-host",
        action="append",
        default=[],
        metavar="NAME",
        help="name that browsers know this server by, as behind a reverse proxy; at a loopback "
        "address, requests under other names are refused; may be given again",
    )
    where.add_argument(
        "--mcp",
        action="store_true",
        help="let language models ask at /mcp (Model Context Protocol); photos come as base64, "
        "never as addresses",
    )
    _add_limits(parser)
    tiles = parser.add_argument_group("background map (default: none, the page works offline)")
    tiles.add_argument("--tiles", metavar="URL", help="tiles, with {z}, {x} and {y} in the URL")
    tiles.add_argument(
        "--tiles-attribution", metavar="TEXT", help="credit the tiles ask for; needed with --tiles"
    )
    return parser


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits; what is beyond them is refused, in words")
    for flag, kind, about in (
        ("--max-upload-mb", float, "largest photo file, megabytes"),
        ("--max-waiting", int, "questions in the server at once"),
        ("--timeout-s", float, "seconds that a question may take, waiting included"),
        ("--workers", int, "photos decoded and answers ranked at a time"),
        ("--batch-photos", int, "most photos in one encoder pass; 1 for one after the other"),
    ):
        name = flag.removeprefix("--").replace("-", "_")
        default = getattr(Limits, name)
        text = f"{about} (default: {default:g})"
        group.add_argument(flag, type=kind, default=default, metavar="N", help=text)


def _options(args: argparse.Namespace) -> ServerOptions:
    return ServerOptions(
        host=args.host,
        port=args.port,
        open_browser=args.open,
        auth=Credentials.from_flag(args.auth),
        no_auth=args.no_auth_i_know,
        root_path=args.root_path,
        public_hosts=tuple(args.public_host),
        tiles=TileSource.from_flags(args.tiles, args.tiles_attribution),
        imagery_share=args.imagery_share,
        examples=tuple(read_samples(args.examples)) if args.examples else (),
        mcp=args.mcp,
        limits=Limits(
            max_upload_mb=args.max_upload_mb,
            max_waiting=args.max_waiting,
            timeout_s=args.timeout_s,
            workers=args.workers,
            batch_photos=args.batch_photos,
        ),
    )


def _serve(args: argparse.Namespace) -> int:
    options = _options(args)
    check_free(options.host, options.port)
    # Heavy imports come after every check that needs none of them.
    from app.engine.engine import Engine
    from app.engine.indexes import Indexes
    from app.server import serving

    folder, name = _folder_and_name(args.indexes, args.index)
    indexes = Indexes(folder, args.model)
    start = indexes.choose(name)
    print(f"opening {start} ...", flush=True)

    def engine_of(uploads: Uploads) -> Engine:
        return Engine(indexes, options.limits, uploads)

    with sigterm_as_ctrl_c(), serving(engine_of, options, start) as (url, engine):
        print(ready_text(engine.geo(start), url), flush=True)
        if options.open_browser:
            webbrowser.open(url)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("\nstopping: questions that are being answered are finished ...", flush=True)
    print("stopped; uploaded photos are deleted", flush=True)
    return 0


def _folder_and_name(folder: Path, index: str | None) -> tuple[Path, str | None]:
    """``--index`` may be the path of an index, too: its folder is then the folder of indexes."""
    if index is None or not {"/", os.sep} & set(index):
        return folder, index
    path = Path(index)
    return path.parent, path.name


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
