"""Array types by the numbers they hold: what a signature says of a NumPy array."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
"""Coordinates, metres, probabilities: what is computed with."""
Floats32 = npt.NDArray[np.float32]
"""Reflectances and pixels of a model: what is kept in half the memory."""
Halves = npt.NDArray[np.float16]
"""What is stored in a quarter of it."""
Vectors = npt.NDArray[np.float32]
"""Embeddings and their cosines."""
Scores = npt.NDArray[np.floating]
"""The same in any precision."""
Ints = npt.NDArray[np.int64]
"""Rows, counts, labels."""
Ids = npt.NDArray[np.uint64]
"""H3 cells."""
Bools = npt.NDArray[np.bool_]
"""Masks."""
Bytes = npt.NDArray[np.uint8]
"""Pictures."""
DigitalNumbers = npt.NDArray[np.uint16]
"""Pixels of a satellite as its files hold them."""
