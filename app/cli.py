"""Command that serves the page: ``python -m app --index london``, or ``gair-app``."""

from __future__ import annotations

import argparse
import contextlib
import os
import threading
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.examples import read_samples
from app.options import WHAT, ServerOptions, TileSource, check_free
from gair.command import Parser, run_parsed
from gair.fields import add_fields, from_namespace, given, option
from indexer.commands.arguments import RuntimeChoice
from indexer.index.default_folder import folder_of_indexes

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
  python -m app --index london --runtime onnx        without torch: python -m gair export-onnx first
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

ONNX_SAID = "onnx, without torch: places are centres of cells"
"""What the terminal says of a server that does without torch."""


@dataclass(frozen=True)
class Source(RuntimeChoice):
    """Indexes that are served, and photos to try on them."""

    index: str | None = option(None, metavar="NAME", group=WHAT)
    """Name of the index to start with (default: the newest); the others of `indexes` can
    be chosen on the page and by programs."""
    indexes: Path = option(factory=folder_of_indexes, metavar="DIR", group=WHAT)
    """Folder that holds the indexes; GAIR_INDEXES in the environment names another default."""
    model: str | None = option(None, metavar="SPEC", group=WHAT)
    """Model to query with (default: the one the index names)."""
    examples: Path | None = option(None, group=WHAT)
    """Photos that the page offers to try, the first 24 of a folder or of a CSV file with a column
    'file'; whoever opens the page can see them."""

    def folder_and_name(self) -> tuple[Path, str | None]:
        """The folder of the indexes, and the name of the one to start with.

        ``index`` may be the path of an index, too: its folder is then the folder of indexes.
        """
        if self.index is None or not {"/", os.sep} & set(self.index):
            return self.indexes, self.index
        path = Path(self.index)
        return path.parent, path.name


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments; those of the process unless given.

    Returns:
        The exit status: 0 after Ctrl-C, else that of the error.
    """
    return run_parsed(build_parser(), argv, interrupted="")


def build_parser() -> argparse.ArgumentParser:
    """The flags, apart from :func:`main` so that documentation can be made from them."""
    parser = Parser(
        prog="python -m app",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_serve)
    add_fields(parser, Source)
    add_fields(parser, ServerOptions)
    tiles = parser.add_argument_group("background map (default: none, the page works offline)")
    add_fields(tiles, TileSource)
    return parser


def read_options(args: argparse.Namespace) -> tuple[Source, ServerOptions]:
    """What is served, and how, from what was parsed.

    Raises:
        UsageError: a value makes no sense.
    """
    source = from_namespace(Source, args)
    tiles = from_namespace(TileSource, args) if given(TileSource, args) else None
    examples = tuple(read_samples(source.examples)) if source.examples else ()
    return source, from_namespace(ServerOptions, args, tiles=tiles, examples=examples)


def _serve(args: argparse.Namespace) -> int:
    source, options = read_options(args)
    check_free(options.host, options.port)
    with contextlib.suppress(KeyboardInterrupt):  # the way to end it, also while it opens
        _serve_until_stopped(source, options)
    return 0


def _serve_until_stopped(source: Source, options: ServerOptions) -> None:
    # Heavy imports come after every check that needs none of them.
    from app.engine.engine import Engine
    from app.engine.indexes import Indexes
    from app.server import serving

    folder, name = source.folder_and_name()
    indexes = Indexes(folder, source.model, source.runtime)
    start = indexes.choose(name)
    if name is None and (others := [other for other in indexes.names() if other != start]):
        print(f"{start} is the newest index of {folder}; --index takes {', '.join(others)}, too")
    print(f"opening {start} ...", flush=True)

    def engine_of(uploads: Uploads) -> Engine:
        return Engine(indexes, options.limits, uploads)

    with serving(engine_of, options, start) as (url, engine):
        print(ready_text(engine.indexes.get(start), url), flush=True)
        if options.open_browser:
            webbrowser.open(url)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("\nstopping: questions that are being answered are finished ...", flush=True)
    print("stopped; uploaded photos are deleted", flush=True)


def ready_text(geo: Geolocator, url: str) -> str:
    """What the terminal says once the page can be used."""
    manifest = geo.index.manifest
    lines = [
        f"index     {geo.index.name} ({manifest.cells_indexed:,} cells, build {manifest.build})",
        f"model     {geo.index.manifest.model.name}, licence {geo.index.manifest.model.licence}",
        *([f"runtime   {ONNX_SAID}"] if geo.space.runtime == "onnx" else []),
        f"imagery   {geo.space.attribution}",
        *(f"warning   {warning}" for warning in geo.space.warnings),
        *_verified_later(geo),
        f"ready at  {url}   (Ctrl-C stops)",
    ]
    return "\n".join(lines)


def _verified_later(geo: Geolocator) -> list[str]:
    later = geo.index.later
    if later is None or later.verification != "verifying":
        return []
    left = f"{later.left_bytes / 1e9:,.2f} GB"
    return [f"files     {left} are verified while it answers; /health says what came of it"]
