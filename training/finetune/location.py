"""Location: the encoder e, frozen under a linear map or fine-tuned, on labelled places.

Regression as MOSAIKS has it (https://doi.org/10.1038/s41467-021-24638-z): a number of every place,
R2 on places that were not fitted. Classes of places (land or sea, a country) are asked the same
way; the species prior is in :mod:`training.finetune.species`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gair.arrays import Floats
from training.finetune import supervised
from training.finetune.encoders.encoder import Encoder
from training.finetune.fitting import Budget
from training.finetune.supervised import Mode, SupervisedData

PlaceData = SupervisedData[Floats]


def run(
    make: Callable[[int], Encoder[Floats]],
    data: PlaceData,
    mode: Mode,
    budget: Budget,
    seeds: Sequence[int],
    *,
    advance: Callable[[int], None] = lambda _count: None,
) -> list[dict[str, float]]:
    """The scores of an encoder, for each seed; arguments as of the street-view pipeline."""
    if mode == "probe":
        vectors = supervised.vectors_of(make(0), data, advance=advance)
        return supervised.probe(vectors, data, seeds)
    return [supervised.finetune(make(s), data, budget, s, advance=advance) for s in seeds]
