"""Errors a user can meet, in one tree.

::

    GairError                     one line for people, exit status 1
    ├── UsageError                the call itself is off: a bad flag or argument, exit status 2
    ├── PhotoError                a photo cannot be read, or must not be
    │   ├── PhotoTypeError        it is no photo of a kind that is read here
    │   └── PhotoSizeError        it has too many bytes or pixels
    ├── ImageryError              a raster cannot be used
    │   ├── BandError             its bands are not the ones the model needs
    │   └── SceneError            a scene of a catalogue has no such file; others may do
    ├── RegionError               a region or bounding box makes no sense
    ├── FootprintError            a point or frame that cannot be mapped
    ├── ModelError                a model cannot be found, read or run
    │   └── CheckpointError       its tensors are not the ones this architecture has
    ├── SearchIndexError              an index cannot be used
    │   ├── IndexNotFoundError    there is none of that name
    │   ├── IndexCorruptError     a file is missing or differs from what was built
    │   ├── SharingError          a source of shared indexes is not there, or not what it says
    │   ├── IndexInUseError       another program has a file open to write
    │   └── IndexMismatchError    it belongs to another model
    ├── DatasetError              a training data set cannot be made, found or read
    │   └── DownloadError         a server does not give what a data set needs
    ├── TrainingError             a run cannot start, go on or be resumed
    ├── StorageError              the disk refused: full, read-only, gone
    ├── ResourceError             the machine ran out of memory, or lost a worker too often
    ├── UnfinishedError           stopped as asked before the end, exit status 3
    └── UnavailableError          a server cannot answer now: it stops, or time is up
        └── BusyError             too many questions wait already

Messages name the bad value and the remedy, and are one line of bounded length. The command lines
print them without a traceback; library users catch :class:`GairError` or a branch of it.
"""

MOST_CHARACTERS = 1000
"""Of a message; what is between its beginning and its end is left out of longer ones."""


def one_line(text: str) -> str:
    """A message on one line, and the middle left out of a long one: the remedy is at its end."""
    text = " ".join(text.splitlines())
    if len(text) <= MOST_CHARACTERS:
        return text
    half = MOST_CHARACTERS // 2 - 10
    return f"{text[:half]} [...] {text[-half:]}"


class GairError(Exception):
    """The root: anything this project raises on purpose.

    As text it is one line of bounded length, whatever the names and values in it.
    """

    exit_status = 1

    def __str__(self) -> str:
        return one_line(super().__str__())


class UsageError(GairError):
    """An argument or a flag has a value that cannot work."""

    exit_status = 2


class PhotoError(GairError):
    """A photo is broken, is no image, or is too large to be decoded safely."""


class PhotoTypeError(PhotoError):
    """A file is no photo of a kind that is read here."""


class PhotoSizeError(PhotoError):
    """A photo has more bytes or pixels than are read here."""


class ImageryError(GairError):
    """A raster file cannot be used as imagery."""


class BandError(ImageryError):
    """A raster lacks bands that the model needs, or does not name them."""


class SceneError(ImageryError):
    """A file of a catalogue's scene is not there, or is no raster: waiting does not help."""


class RegionError(GairError):
    """A region, polygon or bounding box is empty, invalid or unknown."""


class FootprintError(GairError):
    """A point lies outside its frame, or a footprint is degenerate."""


class ModelError(GairError):
    """A model cannot be found, read or run."""


class CheckpointError(ModelError):
    """A checkpoint holds unknown, missing or misshapen tensors."""


class SearchIndexError(GairError):
    """An index cannot be used."""


class IndexNotFoundError(SearchIndexError):
    """There is no index of that name."""


class IndexCorruptError(SearchIndexError):
    """A file of an index is missing, truncated or differs from what was built."""


class SharingError(SearchIndexError):
    """A source of shared indexes does not answer, or holds something else than it says."""


class IndexInUseError(SearchIndexError):
    """A file of an index is sound, as far as is known, and another program has it open to write."""


class IndexMismatchError(SearchIndexError):
    """An index and a model do not belong together."""


class DatasetError(GairError):
    """A training data set cannot be made, found or read."""


class DownloadError(DatasetError):
    """A server does not answer, refuses, or wants to be asked later."""

    def __init__(self, message: str, *, for_all: bool = False) -> None:
        """Say what went wrong, and whether it would be so for whatever else was asked, too."""
        super().__init__(message)
        self.for_all = for_all


class TrainingError(GairError):
    """A training run cannot start, go on or be resumed."""


class StorageError(GairError):
    """The disk refused a write: full, read-only or gone."""


class ResourceError(GairError):
    """The machine ran out of memory, or lost workers too often."""


class UnfinishedError(GairError):
    """Work was stopped as asked before its end; what is done stays, and can be gone on with."""

    exit_status = 3


class UnavailableError(GairError):
    """A server cannot answer now: it is stopping, or the time is up."""


class BusyError(UnavailableError):
    """A server has as many questions waiting as it takes."""
