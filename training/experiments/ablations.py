"""Variants that an evaluation trains: the same budget, one thing changed in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gair.errors import TrainingError, UsageError

if TYPE_CHECKING:
    from gair.config import QueryMode


@dataclass(frozen=True)
class Variant:
    """A run that differs from the demo preset in some flags."""

    name: str
    label: str
    mode: QueryMode
    """How its frames are read, in training and in the index."""
    flags: tuple[str, ...] = ()


VARIANTS = (
    Variant("both", "NILI, both losses", "nili"),
    Variant("incl", "NILI, INCL only", "nili", ("--losses", "incl")),
    Variant("secl", "NILI, SECL only", "nili", ("--losses", "secl")),
    Variant("bilinear", "bilinear, both losses", "bilinear", ("--rs-query", "bilinear")),
    Variant("mean", "global mean, both losses", "mean", ("--rs-query", "mean")),
)
"""What the paper's ablation asks: what does NILI add, what does each loss add?"""

NOISE_VARIANTS = tuple(
    Variant(
        f"noise-{noise_m}",
        f"NILI, both losses, photos {noise_m} m off along each axis",
        "nili",
        ("--coordinate-noise-m", str(noise_m)),
    )
    for noise_m in (25, 50, 100, 200)
)
"""What do poor coordinates in training cost? Run by name only."""


def variants_named(names: Sequence[str]) -> tuple[Variant, ...]:
    """Variants by name, in the order of the names.

    Raises:
        UsageError: there is none of that name.
    """
    by_name = {variant.name: variant for variant in (*VARIANTS, *NOISE_VARIANTS)}
    for name in names:
        if name not in by_name:
            raise UsageError(f"no variant {name!r}; there are: {', '.join(by_name)}")
    return tuple(by_name[name] for name in dict.fromkeys(names))


def train_variant(variant: Variant, data: Path, runs: Path, steps: int) -> Path:
    """Train a variant unless it is there; returns its model's folder.

    A run that was interrupted goes on.

    Raises:
        TrainingError: it failed, or was stopped.
    """
    from training.pretrain import main as pretrain
    from training.pretraining.export import MODEL

    run = runs / f"{variant.name}-{steps}"
    if (run / MODEL / "config.json").is_file():
        return run / MODEL
    if (run / "config.yaml").is_file():
        argv = ["--resume", str(run)]
    else:
        argv = ["--preset", "demo", "--data", str(data), "--out", str(run), "--steps", str(steps)]
        argv += ["--validate-every", "0", "--name", f"ablation-{variant.name}", *variant.flags]
    status = pretrain(argv)
    if status:
        raise TrainingError(f"the run {run} ended with status {status}: run the command again")
    return run / MODEL
