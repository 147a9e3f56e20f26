"""Street view: the encoder g, frozen under a linear map or fine-tuned, on labelled photos.

The paper fine-tunes g for socio-economic indicators and perception (regression) and for view
direction and platform (classification).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gair.photos.photo import open_photo
from training.finetune import supervised
from training.finetune.encoders.encoder import Encoder, Photos
from training.finetune.fitting import Budget
from training.finetune.supervised import Mode, SupervisedData

PhotoData = SupervisedData[Photos]


class PhotoFiles(Sequence[npt.NDArray[np.uint8]]):
    """Photos on disk, decoded when they are asked for.

    Raises:
        PhotoError: on reading one that is broken; the file is named.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> npt.NDArray[np.uint8]:  # type: ignore[override]
        return np.asarray(open_photo(self.paths[number]).rgb)


def run(
    make: Callable[[int], Encoder[Photos]],
    data: PhotoData,
    mode: Mode,
    budget: Budget,
    seeds: Sequence[int],
    *,
    advance: Callable[[int], None] = lambda _count: None,
) -> list[dict[str, float]]:
    """The scores of an encoder, for each seed.

    Args:
        make: opens the encoder; its argument seeds random weights.
        data: photos and labels.
        mode: ``probe`` or ``finetune``.
        budget: of a fine-tuning.
        seeds: of the choices, the head and the batches.
        advance: told of photos embedded and steps made.
    """
    if mode == "probe":
        vectors = supervised.vectors_of(make(0), data, advance=advance)
        return supervised.probe(vectors, data, seeds)
    return [supervised.finetune(make(s), data, budget, s, advance=advance) for s in seeds]
