"""Measures trained models on synthetic cities: ``python -m training.evaluate``.

Two questions. On a city that no training saw, from imagery alone: how far does matching photos to
imagery carry? On held-out blocks of a city that was trained on otherwise: what do the location
embeddings add? Chance stands beside every number, and baselines in the same table. The ablation
trains variants: the same budget, one thing changed in each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import Parser, run_parsed
from gair.errors import TrainingError, UsageError
from gair.fields import add_fields, check_range, from_namespace, option

if TYPE_CHECKING:
    from gair.config import QueryMode
    from gair.model import Gair


@dataclass(frozen=True)
class Variant:
    """A run that differs from the demo preset in some flags."""

    name: str
    label: str
    mode: QueryMode
    """How its frames are read, in training and in the index."""
    flags: tuple[str, ...] = ()


ON_SEEN_GROUND = (
    "Held-out blocks keep out photos, not imagery: 44 % of their photos stand on ground that lies "
    "inside a training frame, which the model has seen from above, without any photo near."
)
"""Counted for the streets of the seen city: tiles of training photos that hold held-out places."""
VARIANTS = (
    Variant("both", "NILI, both losses", "nili"),
    Variant("incl", "NILI, INCL only", "nili", ("--losses", "incl")),
    # Alone it has to train the image towers, too: nothing else would.
    Variant("secl", "NILI, SECL only", "nili", ("--losses", "secl", "--no-stop-location-gradient")),
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


def warmup_share(steps: int) -> float:
    """As many steps of warm-up as the demo preset has, in a run of another length, at most half.

    A share of a short run would be too few: the rate then rises so fast that all vectors become the
    same, and stay it.
    """
    from training.pretraining.config import PRESETS

    demo = PRESETS["demo"]
    return min(0.5, demo.warmup_share * demo.steps / steps)


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
        argv += ["--validate-every", "0", "--name", f"ablation-{variant.name}"]
        argv += ["--warmup-share", f"{warmup_share(steps):.6g}", *variant.flags]
    status = pretrain(argv)
    if status:
        raise TrainingError(f"the run {run} ended with status {status}: run the command again")
    return run / MODEL


_EPILOG = """\
examples:
  # a model beside its own frames read bilinearly and as one mean, and beside chance
  python -m training.evaluate runs/demo/best --out evaluation

  # the ablation, too: five short runs of equal length (about eight minutes each on two cores)
  python -m training.evaluate runs/demo/best --ablate worlds/demo --steps 1500 --out evaluation

  # what coordinates that are 100 m off along each axis cost in training
  python -m training.evaluate --ablate worlds/demo --variants both,noise-100 --out noise
"""


@dataclass(frozen=True)
class EvaluateOptions:
    """Which models are measured, and on how much."""

    models: tuple[str, ...] = option((), positional=True, metavar="MODEL")
    """Folders, or shipped:NAME."""
    out: Path = option(Path("evaluation"), metavar="DIR")
    """Cities and tables."""
    photos: int = 2000
    """Of each city."""
    ablate: Path | None = option(None, metavar="DATASET")
    """Train the variants on this data set, too."""
    variants: tuple[Variant, ...] | None = option(
        None,
        many="word",
        parse=lambda text: variants_named([name for name in text.split(",") if name]),
        metavar="NAME,...",
    )
    """Which variants (default: both,incl,secl,bilinear,mean; also noise-25, -50, -100, -200: photos
    that many metres off)."""
    steps: int = 1500
    """Length of each variant's run."""

    def __post_init__(self) -> None:
        if not self.models and self.ablate is None:
            raise UsageError("nothing to evaluate: name model folders, or a data set with `ablate`")
        if self.variants is not None and self.ablate is None:
            raise UsageError("`variants` says what to train: give the data set with `ablate`")
        check_range(self, 1, "photos", "steps")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate, print the tables, write them; returns the exit status."""
    parser = Parser(
        prog="python -m training.evaluate",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_fields(parser, EvaluateOptions)
    parser.set_defaults(run=lambda parsed: evaluate(from_namespace(EvaluateOptions, parsed)))
    stopped = "interrupted: what is finished is kept in the output folder"
    return run_parsed(parser, argv, interrupted=stopped)


def evaluate(options: EvaluateOptions) -> int:
    """Gather the models, search both cities with each, write the tables."""
    from gair.files import make_folder, write_whole

    out = options.out
    make_folder(out)
    unseen: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    for label, model, modes, is_ablation in _models(options):
        unseen += _unseen_rows(label, model, modes, options)
        seen += _seen_rows(label, model, modes[0], options, is_ablation)
    text = markdown(unseen, seen)
    write_whole(out / "evaluation.md", text.encode())
    rows = json.dumps({"unseen": unseen, "seen": seen}, indent=1)
    write_whole(out / "evaluation.json", rows.encode())
    print(text)
    return 0


def _models(options: EvaluateOptions) -> Iterator[tuple[str, Gair, tuple[QueryMode, ...], bool]]:
    """(label, model, how to read it: its own way first, whether it is of the ablation)."""
    from gair.model import Gair

    for source in options.models:
        model = Gair.from_pretrained(source)
        yield model.info.name, model, ("nili", "bilinear", "mean"), False
    if options.ablate is None:
        return
    for variant in VARIANTS if options.variants is None else options.variants:
        folder = train_variant(variant, options.ablate, options.out / "runs", options.steps)
        label = f"{options.steps:,} steps: {variant.label}"
        yield label, Gair.from_pretrained(folder), (variant.mode,), True


def _unseen_rows(
    label: str, model: Gair, modes: Sequence[QueryMode], options: EvaluateOptions
) -> list[dict[str, Any]]:
    """A row for each reading of the model, from imagery alone."""
    from training.experiments.city_search import Searched, city_files
    from training.synthetic.dataset import UNSEEN_CITY

    home = city_files(UNSEEN_CITY, options.out / "cities", options.photos)
    rows = []
    for number, mode in enumerate(modes):
        searched = Searched(model, mode, home, options.out / "indexes")
        read = "" if not number else f", frames read by {mode}"
        rows.append({"label": f"{label}{read}", **searched.metrics(1, 0)})
    return rows


def _seen_rows(
    label: str, model: Gair, mode: QueryMode, options: EvaluateOptions, brief: bool
) -> list[dict[str, Any]]:
    """Rows for imagery, locations and both on held-out blocks of the seen city."""
    from training.experiments.city_search import Searched, city_files
    from training.synthetic.dataset import SEEN_CITY

    home = city_files(SEEN_CITY, options.out / "cities", options.photos, only_held_out=True)
    searched = Searched(model, mode, home, options.out / "indexes")
    weights = {"imagery": (1.0, 0.0), "location": (0.0, 1.0), "imagery + location": (0.5, 0.5)}
    if brief:
        del weights["location"]
    return [{"label": f"{label}: {k}", **searched.metrics(*w)} for k, w in weights.items()]


def markdown(unseen: Sequence[dict[str, Any]], seen: Sequence[dict[str, Any]]) -> str:
    """Both tables, each with its heading; chance is the last row."""
    parts = []
    for title, rows in (
        ("A city that no training saw, from imagery alone", unseen),
        ("Held-out blocks of a city that was trained on otherwise", seen),
    ):
        if not rows:
            continue
        first = rows[0]
        parts.append(
            f"**{title}**: {first['area_km2']:,.0f} km2, {first['cells']:,.0f} cells, "
            f"{first['photos']:,.0f} photos\n\n{table(rows)}"
        )
    if seen:
        parts.append(ON_SEEN_GROUND)
    return "\n\n".join(parts) + "\n"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One row a model, and chance; recalls in percent, the error in metres."""
    from indexer.evaluate.metrics import KS
    from training.retrieval import RADII_M, recall_name

    recalls = [(k, radius_m) for radius_m in RADII_M for k in KS]
    heads = [f"R@{k} cells {_distance(radius_m)}" for k, radius_m in recalls]
    lines = [
        "| | " + " | ".join([*heads, "median error"]) + " |",
        "|---" + "|---:" * (len(recalls) + 1) + "|",
    ]
    names = [recall_name(k, radius_m) for k, radius_m in recalls]
    for row in rows:
        lines.append(_line(row["label"], [row[n] for n in names], row["median_error_m"]))
    chance = rows[0]
    lines.append(
        _line("chance", [chance[f"chance_{n}"] for n in names], chance["chance_median_error_m"])
    )
    return "\n".join(lines)


def _line(label: str, recalls: Sequence[float], error_m: float) -> str:
    cells = [label, *(f"{recall:.1%}" for recall in recalls), f"{error_m:,.0f} m"]
    return "| " + " | ".join(cells) + " |"


def _distance(radius_m: float) -> str:
    return f"{radius_m / 1000:g} km" if radius_m >= 1000 else f"{radius_m:g} m"


if __name__ == "__main__":
    sys.exit(main())
