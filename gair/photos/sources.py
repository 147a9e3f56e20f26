"""Sources of photos that programs hold, as one of the kinds that photos are read from.

=====================================  =====================================================
what a program holds                   what it is read as
=====================================  =====================================================
``bytearray``, ``memoryview``, mmap    the bytes of an image file; of a view with rows and
                                       columns, an array
an open file, in binary mode           its bytes: from its beginning, and left where it
                                       stood, where it can be moved; else from where it is
a tensor, or what NumPy makes one of   an array
an array with channels first           the same with channels last
=====================================  =====================================================

Which axis the channels are: of an array the last one if it has 1, 3 or 4 entries, else the first;
of a tensor the first one if it has, else the last. So a photo of 3 rows in an array, and of 3
columns in a tensor, is what its library takes it for.
"""

from __future__ import annotations

import inspect
import os
import sys
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from gair.errors import PhotoError, PhotoSizeError

MOST_FILE_BYTES = 1 << 30
"""Most bytes that are read from an open file, which may have no end."""

_CHANNELS = (1, 3, 4)
_BLOCK = 1 << 20


class BinaryFile(Protocol):
    """A file that is open in binary mode."""

    def read(self, size: int = ..., /) -> bytes:
        """The next bytes; none at the end."""


class ArrayLike(Protocol):
    """A tensor, or something else that NumPy makes an array of."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, D105
        ...


Plain = str | os.PathLike[str] | bytes | Image.Image | npt.NDArray[np.generic]
"""What photos are read from."""
PhotoSource = Plain | bytearray | memoryview | BinaryFile | ArrayLike
"""What programs hold."""


def plain_source(source: object, name: str | None = None) -> tuple[Plain, str | None]:
    """A source as one of the plain kinds, arrays with channels last; and what it is called.

    Args:
        source: of any kind above.
        name: what to call the photo; None for the name of its file, if it has one.

    Raises:
        PhotoError: an open file cannot be read, or the source is of no such kind.
    """
    if isinstance(source, str | os.PathLike | bytes | Image.Image):
        return source, name
    if isinstance(source, np.ndarray):
        return _channels_last(source, first=False), name
    tensor = _array_of_tensor(source)
    if tensor is not None:
        return _channels_last(tensor, first=True), name
    try:
        view = memoryview(source)  # type: ignore[arg-type]
    except TypeError:
        pass
    else:
        if view.ndim == 1 and view.itemsize == 1:
            return view.tobytes(), name
        return _channels_last(np.asarray(view), first=False), name
    if callable(getattr(source, "read", None)):
        file_name = getattr(source, "name", None)
        name = name or (file_name if isinstance(file_name, str) else None)
        return _file_content(source, name or "the open file"), name
    if hasattr(source, "__array__"):
        return _channels_last(np.asarray(source), first=False), name
    raise PhotoError(
        f"cannot open a {type(source).__name__} as a photo; pass a path, bytes, an open file, "
        "a Pillow image, an array or a tensor"
    )


def _array_of_tensor(source: object) -> npt.NDArray[Any] | None:
    """The values of a torch tensor, wherever they are; None for anything else."""
    torch = sys.modules.get("torch")  # who holds a tensor has imported it
    if torch is None or not isinstance(source, torch.Tensor):
        return None
    values = source.detach().cpu()
    if values.dtype == torch.bfloat16:  # NumPy has none
        values = values.float()
    return np.asarray(values.numpy())


def _channels_last(array: npt.NDArray[Any], *, first: bool) -> npt.NDArray[Any]:
    """(H, W) or (H, W, C), whichever way it was given; other shapes as they are.

    Args:
        array: of any shape.
        first: whether channels come first where both ends could be channels.
    """
    if array.ndim != 3:
        return array
    at_start, at_end = (array.shape[axis] in _CHANNELS for axis in (0, 2))
    if at_start and (first or not at_end):
        array = array.transpose(1, 2, 0)
    return array[..., 0] if array.shape[2] == 1 else array


def _file_content(file: Any, name: str) -> bytes:  # noqa: ANN401 (files of any library)
    """The bytes of an open file, which stays where it stood if it can be moved."""
    try:
        seekable = getattr(file, "seekable", None)
        stood = file.tell() if seekable is not None and seekable() else None
        if stood is not None:
            file.seek(0)
        content = _read_all(file, name)
        if stood is not None:
            file.seek(stood)
    except (OSError, ValueError) as error:  # ValueError: it is closed
        reason = str(error).rstrip(".")
        raise PhotoError(f"cannot read {name}: {reason}; open it again") from error
    return content


def _read_all(file: Any, name: str) -> bytes:  # noqa: ANN401
    content = bytearray()
    while True:
        block = file.read(_BLOCK)
        if inspect.isawaitable(block):
            if inspect.iscoroutine(block):
                block.close()
            raise PhotoError(
                f"{name} is read by an async function; await its read() and pass the bytes, or "
                "pass the plain file in it (.file of an upload)"
            )
        if isinstance(block, str):
            raise PhotoError(f"{name} is open as text; open it in binary mode ('rb')")
        if not block:
            return bytes(content)
        content += block
        if len(content) > MOST_FILE_BYTES:
            raise PhotoSizeError(
                f"{name} has more than {MOST_FILE_BYTES:,} bytes; pass one photo at a time"
            )
