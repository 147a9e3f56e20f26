"""Options that several commands accept; nothing heavy is imported, so `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gair.encoders.precision import WantedPrecision
from gair.errors import UsageError
from gair.fields import option
from indexer.build.options import WantedIndexType
from indexer.index.default_folder import folder_of_indexes

if TYPE_CHECKING:
    from gair.photos.photo import UnreadPhoto
    from indexer.photos.encoder import Runtime
    from indexer.photos.listing import ListedPhoto
    from indexer.photos.vectors import PhotoVectors
    from indexer.search.geolocator import Geolocator

NUMBER_FLAGS = ("--bbox", "--at", "--claim", "--like", "--unlike", "--photos-near")
"""Flags whose value is a list of numbers, of which the first may be negative."""
_PICTURES = "which part of a picture counts"
_WITH_NUMBERS = tuple(f"{flag}=" for flag in NUMBER_FLAGS)


def numbers_joined(argv: Sequence[str]) -> list[str]:
    """``--bbox -1,2,3,4`` as ``--bbox=-1,2,3,4``: argparse takes the former for a flag.

    A number after a comma and a space, ``--at 51.5, -0.12``, belongs to what was before it.
    """
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in NUMBER_FLAGS:
            joined[-1] = f"{joined[-1]}={word}"
        elif joined and joined[-1].endswith(",") and joined[-1].startswith(_WITH_NUMBERS):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """Where indexes are."""

    indexes_dir: str = option(
        factory=lambda: str(folder_of_indexes()), flags="--indexes", metavar="DIR"
    )
    """Folder of all indexes; GAIR_INDEXES in the environment names another default."""


@dataclass(frozen=True, kw_only=True)
class IndexChoice(Indexes):
    """Which index."""

    index: str | None = option(None, metavar="NAME")
    """Name or folder (default: the only one there is)."""

    @property
    def folder(self) -> Path:
        """The folder of the index.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        from indexer.index.index import find_index

        return find_index(self.index, self.indexes_dir)


@dataclass(frozen=True, kw_only=True)
class IndexAndModel(IndexChoice):
    """Which index, and a model that is not where the index says."""

    model: str | None = option(None, metavar="MODEL")
    """Where the index's model is now."""

    def geolocator(
        self,
        store: str | None = None,
        precision: WantedPrecision = "auto",
        runtime: Runtime = "torch",
    ) -> Geolocator:
        """The index, opened with its model."""
        from indexer.search.geolocator import Geolocator

        return Geolocator.open(
            self.index,
            indexes_dir=self.indexes_dir,
            model=self.model,
            store=store,
            precision=precision,
            runtime=runtime,
        )


@dataclass(frozen=True, kw_only=True)
class RuntimeChoice:
    """What encodes the photos that somebody asks about."""

    runtime: Literal["torch", "onnx"] = "torch"
    """What encodes photos; onnx is the photo tower that python -m gair export-onnx wrote (--model:
    its folder), needs no torch, and names centres of cells, nothing between them."""


@dataclass(frozen=True, kw_only=True)
class PhotoReading(RuntimeChoice):
    """How the photos that a command names are read."""

    heading: float | None = option(None, metavar="DEG", group=_PICTURES)
    """Cut the view in this direction out of 360-degree panoramas, twice as wide as high: degrees to
    the right of their middle."""
    cut_bars: bool = option(False, group=_PICTURES)
    """Cut black bars off."""
    precision: WantedPrecision = "auto"
    """Type that the photo encoder computes in; auto takes bfloat16 where this CPU multiplies in it
    and the model gains."""

    def unread(self, words: Sequence[str]) -> list[UnreadPhoto]:
        """The photos that words name (:func:`indexer.photos.named.named_photos`), not yet read."""
        import sys

        from gair.photos.photo import UnreadPhoto
        from indexer.photos.named import STANDARD_INPUT, named_photos

        return [
            UnreadPhoto(
                sys.stdin.buffer if name == STANDARD_INPUT else name,
                name,
                self.heading,
                self.cut_bars,
            )
            for name in named_photos(words)
        ]


@dataclass(frozen=True, kw_only=True)
class PhotosOfIndex(IndexAndModel):
    """An index and photos to measure it by."""

    photos: str = option(metavar="MANIFEST")
    """Photos with places: a folder with GPS tags, or a .csv or .parquet manifest with columns file,
    lat, lon."""
    out_of_index: str | None = option(None, metavar="MANIFEST")
    """Photos taken elsewhere, to measure how many of those are noticed."""
    cache: Path | None = option(None, metavar="DIR")
    """Keep the photos' vectors here, so that a second run is fast."""
    quiet: bool = False
    """No progress."""

    def listed(
        self, extra: tuple[str, ...] = ()
    ) -> tuple[list[ListedPhoto], list[ListedPhoto] | None]:
        """The photos of the index with some columns of their manifest, and those from elsewhere."""
        from indexer.photos.listing import read_photos

        photos = read_photos(self.photos, extra=extra)
        return photos, None if self.out_of_index is None else read_photos(self.out_of_index)

    def vectors(self, geolocator: Geolocator, photos: list[ListedPhoto]) -> PhotoVectors:
        """The photos' vectors, by the index's model."""
        from indexer.photos.vectors import photo_vectors

        return photo_vectors(geolocator, photos, cache=self.cache, quiet=self.quiet)


@dataclass(frozen=True, kw_only=True)
class IndexTypeChoice:
    """How the cells of an index are searched."""

    index_type: WantedIndexType = "auto"
    """Flat scores every cell; the others score a shortlist exactly (default: auto, flat up to 2
    million cells, ivf-sq8 up to 50 million, ivf-pq above)."""


def add_positional_index(parser: argparse.ArgumentParser) -> None:
    """Take the index without a flag, too."""
    parser.add_argument(
        "index",
        nargs="?",
        default=argparse.SUPPRESS,
        metavar="INDEX",
        help="the same as --index",
    )


def torch_device(wanted: str) -> str:
    """The one place that decides where a command computes."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=wanted).tolist()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"cannot compute on --device {wanted!r} here: leave it out, or pass cpu"
        ) from error
    return wanted
