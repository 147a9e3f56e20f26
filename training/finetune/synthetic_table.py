"""Table of transfer on synthetic cities and real coordinates, in minutes on two cores.

The demo model stands beside its own shape with random weights, frozen; beside that shape trained on
the labels alone with the budget that fine-tuning has; and beside ImageNet's EfficientNet-Lite0 and
GeoCLIP's location encoder, where their packages are installed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gair.errors import ModelError
from gair.model import Gair
from training.finetune import species, supervised, synthetic_tasks
from training.finetune.encoders.opening import SCRATCH, open_encoder
from training.finetune.fitting import Budget
from training.finetune.results import Row, Section
from training.finetune.running import Contender, run_contender
from training.finetune.supervised import SupervisedData, Vectors
from training.finetune.tasks import Pipeline


@dataclass(frozen=True)
class TableOptions:
    """What the table compares and how long it takes."""

    model: str = "shipped:demo"
    seeds: int = 3
    size: synthetic_tasks.Size = synthetic_tasks.Size()
    street: Budget = Budget(steps=120, batch=32, lr=5e-4)
    frames: Budget = Budget(steps=80, batch=8, lr=1e-3, checks=2)
    places: Budget = Budget(steps=300, batch=256, lr=2e-3)
    channels: int = 32
    """Of the UPerNet; 512 in the paper's protocol."""
    globe_train: int = 4_000
    globe_test: int = 2_000
    geoclip: str = "geoclip"
    efficientnet: str = "efficientnet-lite"
    full_size: str = "random"
    """Random weights in the published size of e, beside GeoCLIP."""
    quiet: bool = False


def synthetic_sections(options: TableOptions) -> Iterator[Section]:
    """The tasks one after another, so that what is finished can be shown."""
    name = Gair.from_pretrained(options.model).info.name
    streets = synthetic_tasks.street_tasks(options.size)
    yield from _street_sections(options, name, streets)
    yield _frame_section(options, name)
    yield from _place_sections(options, name)
    yield _prior_section(options, name, streets)


def _street_sections(
    options: TableOptions, name: str, tasks: synthetic_tasks.StreetTasks
) -> Iterator[Section]:
    size = options.size
    about = (
        f"{len(tasks.kind.train):,} photos of {len(size.train_cities)} cities to learn from, "
        f"{len(tasks.kind.test):,} of {len(size.test_cities)} others"
    )
    memory = _Memory(tasks.kind, "photo", options)
    frozen = _frozen(options, name, (options.efficientnet, "ImageNet EfficientNet-Lite0, frozen"))
    for title, data, metrics in (
        ("Built-up and tree share around the camera", tasks.surroundings, ("R2", "MAE", "RMSE")),
        ("View along or across the street", tasks.view_direction, ("macro F1", "top-1")),
        (f"Kind of neighbourhood, {len(synthetic_tasks.KINDS)} classes", tasks.kind,
         ("top-1", "top-3", "macro F1")),
    ):  # fmt: skip
        rows = [memory.row(source, label, data) for source, label in frozen]
        for contender in _fitted(options, name):
            rows.append(_run(contender, "street view", data, options.street, options))
        yield Section(title, "street view", metrics, tuple(rows), about)


def _frame_section(options: TableOptions, name: str) -> Section:
    data = synthetic_tasks.segmentation_task(options.size)
    frozen = [Contender(source, "probe", text) for source, text in _frozen(options, name)]
    rows = [
        _run(contender, "remote sensing", data, options.frames, options, channels=options.channels)
        for contender in (*frozen, *_fitted(options, name))
    ]
    about = (
        f"{len(data.classes)} classes of land cover at 10 m under a UPerNet, {len(data.train)} "
        f"frames to learn from, {len(data.test)} of other cities"
    )
    return Section("Land cover", "remote sensing", ("mIoU",), tuple(rows), about)


def _place_sections(options: TableOptions, name: str) -> Iterator[Section]:
    baselines = [(options.full_size, "e in the paper's size, random weights, frozen"),
                 (options.geoclip, "GeoCLIP, frozen")]  # fmt: skip
    city = options.size.home.name
    for title, data, metrics, about in (
        (
            "Built-up and tree share at a place",
            synthetic_tasks.place_task(options.size),
            ("R2", "MAE", "RMSE"),
            f"streets of {city}, where the demo model was trained",
        ),
        (
            "Land or sea",
            synthetic_tasks.land_or_sea(options.globe_train, options.globe_test, 0),
            ("macro F1", "top-1"),
            "real coordinates, even over the globe",
        ),
        (
            "Country",
            synthetic_tasks.country_of(options.globe_train, options.globe_test, 0),
            ("top-1", "top-3", "macro F1"),
            "real coordinates on land",
        ),
    ):
        memory = _Memory(data, "location", options)
        rows = [memory.row(s, label, data) for s, label in _frozen(options, name, *baselines)]
        for contender in _fitted(options, name):
            rows.append(_run(contender, "location", data, options.places, options))
        classes = f", {len(data.names)} classes" if data.goal == "classification" else ""
        counts = f"{len(data.train):,} to learn from, {len(data.test):,} others{classes}"
        yield Section(title, "location", metrics, tuple(rows), f"{about}; {counts}")


def _prior_section(
    options: TableOptions, name: str, streets: synthetic_tasks.StreetTasks
) -> Section:
    photos, prior = synthetic_tasks.prior_photos(options.size)
    kinds = streets.kind
    encoder = open_encoder(options.model, "photo")
    photos_to_embed = SupervisedData(
        kinds.goal, kinds.names, kinds.train, supervised.Labelled(photos, prior.test_labels)
    )
    vectors = supervised.vectors_of(encoder, photos_to_embed)
    prior = synthetic_tasks.with_predictions(prior, vectors, kinds)
    rows = [Row(f"{name}'s photo vectors alone", (species.image_only(prior),))]
    frozen = _frozen(options, name, (options.geoclip, "GeoCLIP, frozen"))
    contenders = [Contender(source, "probe", text) for source, text in frozen]
    for contender in (*contenders, _fitted(options, name)[1]):
        contender = dataclasses.replace(contender, label=f"times a prior: {contender.label}")
        rows.append(_run(contender, "species prior", prior, options.places, options))
    about = (
        f"P(kind | photo) P(kind | place) in {options.size.home.name}; {len(prior.train_labels):,} "
        f"places to learn from, {len(photos):,} photos"
    )
    return Section("Kind of neighbourhood with a place prior", "species prior",
                   ("top-1", "top-3"), tuple(rows), about)  # fmt: skip


def _frozen(options: TableOptions, name: str, *baselines: tuple[str, str]) -> list[tuple[str, str]]:
    """Encoders that are frozen and the labels of their rows: the model, its shape, baselines."""
    return [
        (options.model, f"{name}, frozen"),
        (f"{SCRATCH}{options.model}", "the same, random weights, frozen"),
        *baselines,
    ]


def _fitted(options: TableOptions, name: str) -> tuple[Contender, Contender]:
    """The model and its shape, both fitted to the labels."""
    return (
        Contender(options.model, "finetune", f"{name}, fine-tuned"),
        Contender(f"{SCRATCH}{options.model}", "finetune", "the same, from scratch"),
    )


def _run(
    contender: Contender,
    pipeline: Pipeline,
    data: Any,  # noqa: ANN401
    budget: Budget,
    table: TableOptions,
    **options: Any,  # noqa: ANN401
) -> Row:
    seeds, quiet = range(table.seeds), table.quiet
    try:
        return run_contender(contender, pipeline, data, budget, seeds, options=options, quiet=quiet)
    except ModelError as error:
        return Row(contender.label, not_run=str(error))


class _Memory:
    """The vectors of frozen encoders, made once for all tasks on the same inputs."""

    def __init__(self, inputs: SupervisedData[Any], kind: Any, options: TableOptions) -> None:  # noqa: ANN401
        self._inputs, self._kind, self._options = inputs, kind, options
        self._vectors: dict[str, Vectors] = {}

    def row(self, source: str, label: str, data: SupervisedData[Any]) -> Row:
        """The row of a frozen encoder on one task."""
        try:
            vectors = self._of(source, label)
        except ModelError as error:
            return Row(label, not_run=str(error))
        return Row(label, tuple(supervised.probe(vectors, data, range(self._options.seeds))))

    def _of(self, source: str, label: str) -> Vectors:
        from gair.progress import Progress

        if source not in self._vectors:
            encoder = open_encoder(source, self._kind)
            total = len(self._inputs.train) + len(self._inputs.test)
            with Progress(label, total, "input", quiet=self._options.quiet) as progress:
                advance: Callable[[int], None] = progress.advance
                self._vectors[source] = supervised.vectors_of(
                    encoder, self._inputs, advance=advance
                )
        return self._vectors[source]
