"""``python -m indexer add-photos | remove-photos``: the reference photos of an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gair.command import add_command
from gair.fields import option
from indexer.commands.arguments import (
    IndexAndModel,
    IndexChoice,
    add_positional_index,
    torch_device,
)
from indexer.ground.options import AddOptions

_ADD_EPILOG = """\
examples:
  python -m indexer add-photos london --photos photos.csv
  # what python -m training.dataset streetscapes --keep-photos fetched
  python -m indexer add-photos london --photos dataset.unfinished/manifest.parquet
  # an archive of one's own, by the GPS tags of its files, never to be exported
  python -m indexer add-photos london --photos archive/ --licence "© The Daily" --private
"""
_REMOVE_EPILOG = """\
examples:
  python -m indexer remove-photos london --photos takedown.csv
  python -m indexer remove-photos london --source Mapillary
  python -m indexer remove-photos london --all
"""


@dataclass(frozen=True, kw_only=True)
class AddPhotos(IndexAndModel):
    """Flags of ``add-photos``."""

    photos: str = option(metavar="MANIFEST")
    """Photos of known places: a .csv or .parquet manifest with columns file, lat, lon and, where
    known, heading, captured_at, sequence, source, link, licence, attribution; or a folder, whose
    photos are taken to be where their GPS tags say."""
    device: str = option("auto", metavar="DEVICE")
    """Where torch computes: cpu, cuda, ... (default: the best)."""
    add: AddOptions = AddOptions()


@dataclass(frozen=True, kw_only=True)
class RemovePhotos(IndexChoice):
    """Flags of ``remove-photos``."""

    photos: str | None = option(None, metavar="MANIFEST", one_of="what")
    """The photos of this manifest or folder: by the bytes of their files or, where a file is gone,
    by their links."""
    source: str | None = option(None, metavar="NAME", one_of="what")
    """All photos of a source, as info lists them."""
    everything: bool = option(False, flags="--all", one_of="what")
    """All photos."""
    quiet: bool = False
    """No progress."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the commands."""
    parser = add_command(
        commands,
        "add-photos",
        AddPhotos,
        run,
        help="add photos of known places as evidence",
        description="Encode photos whose place is known by the model of an index, and keep their "
        "vectors beside it as evidence for the places of other photos. Kept are place, heading, "
        "date, source, link, licence and credit, and no pixels. Photos that cannot be read, have "
        "no place, or lie farther than 500 m from the index are left out and counted. A run that "
        "was ended goes on where it was; a photo that is there is not added again. The position "
        "in a file's tags counts here, because these photos are references; of a photo that is "
        "searched for it never does.",
        epilog=_ADD_EPILOG,
    )
    add_positional_index(parser)
    parser.set_defaults(
        interrupted="interrupted: the index was not changed; the same command goes on from the "
        "photos that are encoded"
    )
    parser = add_command(
        commands,
        "remove-photos",
        RemovePhotos,
        run_remove,
        help="remove reference photos",
        description="Remove reference photos from an index: those of a list, of a source, or all. "
        "What was there before stays on the disk until prune.",
        epilog=_REMOVE_EPILOG,
    )
    add_positional_index(parser)


def run(options: AddPhotos) -> int:
    """Add photos, and say what became of each."""
    from indexer.ground.add import add_photos
    from indexer.index.index import open_index
    from indexer.photos.encoder import load_model

    folder = options.folder
    model = load_model(open_index(folder), options.model).to(torch_device(options.device))
    report = add_photos(folder, options.photos, model=model, options=options.add)
    print("\n".join(report.lines))
    return 0


def run_remove(options: RemovePhotos) -> int:
    """Remove photos, and say how many."""
    from indexer.ground.remove import remove_photos

    report = remove_photos(
        options.folder,
        photos=options.photos,
        source=options.source,
        everything=options.everything,
        quiet=options.quiet,
    )
    print("\n".join(report.lines))
    return 0
