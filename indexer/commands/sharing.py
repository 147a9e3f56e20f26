"""``python -m indexer index``: bundle, open, push, pull, list and cut indexes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import HelpFormatter, add_command
from gair.errors import UsageError
from gair.fields import option
from indexer.commands.arguments import IndexChoice, Indexes, IndexTypeChoice, add_positional_index
from indexer.commands.source import RegionChoice

if TYPE_CHECKING:
    from indexer.sharing.bundle import SharedReport
    from indexer.sharing.listing import SharedIndex

_EPILOG = """\
examples:
  python -m indexer index bundle london london.gair      # one file, to copy anywhere
  python -m indexer index open london.gair
  python -m indexer index push london /mnt/share         # or hf:OWNER/NAME
  python -m indexer index list https://example.org/indexes
  python -m indexer index pull hf:OWNER/NAME london
  python -m indexer index cut london --bbox=-0.2,51.4,0.0,51.6 --into inner

A source is a folder, http(s)://HOST/FOLDER, hf:OWNER/NAME[@REVISION] (a dataset repository of the
Hugging Face hub; HF_TOKEN or hf auth login says who asks), or a bundle. Open only what you trust.
"""


@dataclass(frozen=True, kw_only=True)
class _Leaves(IndexChoice):
    reference_photos: bool = True
    """Leave out the reference photos; sets with private ones always are."""
    quiet: bool = False
    """No progress."""


@dataclass(frozen=True, kw_only=True)
class Bundle(_Leaves):
    """Flags of ``index bundle``."""

    index: str | None = option(positional=True, metavar="INDEX")
    """Name or folder."""
    file: Path = option(positional=True, metavar="FILE.gair")
    """Where it goes."""


@dataclass(frozen=True, kw_only=True)
class Push(_Leaves):
    """Flags of ``index push``."""

    index: str | None = option(positional=True, metavar="INDEX")
    """Name or folder."""
    destination: str = option(positional=True, metavar="WHERE")
    """A folder, or hf:OWNER/NAME."""
    private: bool = False
    """Make the repository a private one, if it is made."""


@dataclass(frozen=True, kw_only=True)
class _Comes(Indexes):
    as_name: str | None = option(None, flags="--as", metavar="NAME")
    """What its folder is called here (default: its own name)."""
    quiet: bool = False
    """No progress."""


@dataclass(frozen=True, kw_only=True)
class Open(_Comes):
    """Flags of ``index open``."""

    file: Path = option(positional=True, metavar="FILE.gair")
    """A bundle."""


@dataclass(frozen=True, kw_only=True)
class Pull(_Comes):
    """Flags of ``index pull``."""

    source: str = option(positional=True, metavar="SOURCE")
    """A folder, http(s)://HOST/FOLDER, hf:OWNER/NAME[@REVISION], or a bundle."""
    name: tuple[str, ...] = option((), positional=True, metavar="NAME")
    """Which of its indexes (default: the only one)."""


@dataclass(frozen=True, kw_only=True)
class List:
    """Flags of ``index list``."""

    source: str = option(positional=True, metavar="SOURCE")
    """A folder, http(s)://HOST/FOLDER, hf:OWNER/NAME[@REVISION], or a bundle."""
    json: bool = False
    """Print JSON."""


@dataclass(frozen=True, kw_only=True)
class Cut(RegionChoice, IndexTypeChoice, IndexChoice):
    """Flags of ``index cut``."""

    within: Path | None = option(None, metavar="FILE", one_of="area")
    """The same as --polygon."""
    into: str = option(metavar="NAME")
    """Name of the new index."""
    reference_photos: bool = True
    """Leave out the reference photos that were taken there; private ones always are."""
    quiet: bool = False
    """No progress."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command with its own commands."""
    parser = commands.add_parser(
        "index",
        help="share indexes: bundle, open, push, pull, list, cut",
        description="Share indexes as bundles, in folders, and on the Hugging Face hub, and cut "
        "regions out of them. Only what changed moves; everything is checked by its hash before it "
        "is taken; licences and credits are told first, and go along.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    places = parser.add_subparsers(required=True, metavar="COMMAND")
    add_command(places, "bundle", Bundle, _bundle, help="write an index into one file")
    add_command(places, "open", Open, _open, help="take an index out of such a file")
    add_command(
        places,
        "push",
        Push,
        _push,
        help="put an index, or what changed of it, where others pull it from",
    )
    pull = add_command(
        places,
        "pull",
        Pull,
        _pull,
        help="bring a shared index here, or what changed of it",
        description="Bring a shared index here. A pull that is ended, however, leaves the index "
        "that is here, or none, and the same command goes on from there. Reference photos that "
        "were added here stay, unless the shared index has its own.",
    )
    pull.set_defaults(
        interrupted="interrupted: nothing was changed; the same command goes on from there"
    )
    add_command(places, "list", List, _list, help="what a source shares")
    cut = add_command(
        places,
        "cut",
        Cut,
        _cut,
        help="make an index of a region of a larger one",
        description="Make an index of the cells whose centres lie in a region of a larger index. "
        "Vectors are copied as they are, and so are the reference photos that were taken there, "
        "but for private ones. The calibration is not carried over.",
    )
    add_positional_index(cut)


def _bundle(options: Bundle) -> int:
    from indexer.sharing.bundle import bundle_index

    report = bundle_index(
        options.folder,
        options.file,
        reference_photos=options.reference_photos,
        quiet=options.quiet,
    )
    return _told(report)


def _push(options: Push) -> int:
    from indexer.sharing.push import push_index

    report = push_index(
        options.folder,
        options.destination,
        reference_photos=options.reference_photos,
        private=options.private,
        quiet=options.quiet,
    )
    return _told(report)


def _told(report: SharedReport) -> int:
    """What was shared, and whose it is."""
    _tell(report.listing)
    print("\n".join(report.lines))
    return 0


def _open(options: Open) -> int:
    return _brought(str(options.file), None, options)


def _pull(options: Pull) -> int:
    if len(options.name) > 1:
        raise UsageError(f"pull takes one NAME, not {len(options.name)}: pull them one by one")
    return _brought(options.source, options.name[0] if options.name else None, options)


def _brought(source: str, name: str | None, options: _Comes) -> int:
    from indexer.sharing.pull import pull_index

    report = pull_index(
        source,
        name,
        as_name=options.as_name,
        indexes_dir=options.indexes_dir,
        before=_tell,
        quiet=options.quiet,
    )
    print("\n".join(report.lines))
    return 0


def _tell(listing: SharedIndex) -> None:
    """Licences and credits, before anything moves."""
    from indexer.sharing.terms import terms_lines

    print("\n".join(terms_lines(listing)), flush=True)


def _list(options: List) -> int:
    import json

    from indexer.sharing.pull import list_indexes

    names = list_indexes(options.source)
    if options.json:
        print(json.dumps(names, indent=1))
        return 0
    for name, about in names.items():
        print(
            f"{name}: {about.get('cells', 0):,} cells of {about.get('region')}, "
            f"{about.get('size_bytes', 0):,} bytes, build {about.get('build')}; model "
            f"{about.get('model')}, licence {about.get('licence')}; "
            f"{'calibrated' if about.get('calibrated') else 'not calibrated'}"
        )
    return 0


def _cut(options: Cut) -> int:
    from indexer.merge.cut import cut_index
    from indexer.regions.region import region_from_geojson

    region = options.chosen(options.into)
    if options.within is not None:
        region = region_from_geojson(options.within, name=options.into)
    if region is None:
        raise UsageError("cut needs an area: add --bbox, --polygon, --within, --region or --place")
    report = cut_index(
        options.folder,
        region,
        options.into,
        options.indexes_dir,
        index_type=options.index_type,
        reference_photos=options.reference_photos,
        quiet=options.quiet,
    )
    print("\n".join(report.summary))
    return 0
