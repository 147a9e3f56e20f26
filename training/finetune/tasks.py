"""Tasks of the paper and one of others: labels, metrics, where their data are, what was published.

Published numbers are those that are known to us from the paper; where there are none the column
stays empty. Nothing here imports torch, so the list of tasks answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gair.check import coordbench
from gair.errors import DatasetError, UsageError
from gair.fields import nearest

Mode = Literal["probe", "finetune"]
Pipeline = Literal["street view", "remote sensing", "location", "species prior", "coordinates"]
KIND_OF: dict[Pipeline, Literal["photo", "frame", "location"]] = {
    "street view": "photo",
    "remote sensing": "frame",
    "location": "location",
    "species prior": "location",
    "coordinates": "location",
}
MODE_OF: dict[Pipeline, Mode] = {
    "street view": "finetune",
    "remote sensing": "probe",
    "location": "probe",
    "species prior": "probe",
    "coordinates": "probe",
}
"""What the paper does: fine-tunes g, freezes f and e. So does the benchmark of coordinates."""

PAPER = "arXiv 2503.16683 v1"
MIND = "CoordBench's table in the paper of MIND, https://github.com/taylor-geospatial/mind"


@dataclass(frozen=True)
class Task:
    """A task: what is asked, of which data, and how it is scored."""

    name: str
    title: str
    pipeline: Pipeline
    metrics: tuple[str, ...]
    """The published ones first."""
    get: str
    """What the folder must hold and where it is to be had."""
    reader: str
    """``module:function`` under :mod:`training.finetune.readers`."""
    arguments: tuple[Any, ...] = ()
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metric to model to value, as in ``source``."""
    source: str = PAPER
    """Where the published values are from."""

    def read(self, folder: Path) -> Any:  # noqa: ANN401
        """The task's data.

        Raises:
            DatasetError: they are not there, or not as published.
        """
        import importlib

        if not folder.is_dir():
            raise DatasetError(f"no data at {folder}: {self.get}")
        module, _, name = self.reader.partition(":")
        load: Callable[..., Any] = getattr(
            importlib.import_module(f"training.finetune.readers.{module}"), name
        )
        return load(folder, *self.arguments)


_NUMBERS = "labels.csv (file, split, a column for each number) beside its photos"
_STREETSCAPES = (
    "manual_labels of https://huggingface.co/datasets/NUS-UAL/global-streetscapes, unpacked"
)
_MOSAIKS = "Y_{}.csv of TorchSpatial's MOSAIKS, https://github.com/seai-lab/TorchSpatial"
_SIGHTINGS = "{} with its image predictions, see https://github.com/seai-lab/TorchSpatial"
_REGRESSION = ("R2", "MAE", "RMSE")
_TOPS = ("top-1", "top-3")


def _miou(gair: float, croma: float) -> dict[str, dict[str, float]]:
    return {"mIoU": {"GAIR": gair, "CROMA": croma}}


TASKS: tuple[Task, ...] = (
    Task(
        "socio-economic", "Socio-economic indicators", "street view", _REGRESSION,
        f"{_NUMBERS}; which indicators the paper took is not known here",
        "labelled_photos:read_numbers",
    ),
    Task(
        "perception", "Perception", "street view", _REGRESSION,
        f"{_NUMBERS}, such as scores of Place Pulse 2.0", "labelled_photos:read_numbers",
    ),
    Task(
        "view-direction", "View direction", "street view", ("macro F1", "top-1"),
        _STREETSCAPES, "labelled_photos:read_streetscapes", ("view_direction",),
    ),
    Task(
        "platform", "Platform", "street view", ("macro F1", "top-1"),
        _STREETSCAPES, "labelled_photos:read_streetscapes", ("platform",),
    ),
    Task(
        "hls-burn-scars", "HLS Burn Scars", "remote sensing", ("mIoU",),
        "https://huggingface.co/datasets/ibm-nasa-geospatial/hls_burn_scars, unpacked",
        "labelled_scenes:read_burn_scars", (), _miou(83.26, 81.95),
    ),
    Task(
        "ai4smallfarms", "AI4SmallFarms", "remote sensing", ("mIoU",),
        "https://doi.org/10.17026/dans-xy6-ngg6, with its folder sentinel-2-asia",
        "labelled_scenes:read_small_farms", (), _miou(43.35, 25.65),
    ),
    Task(
        "crop-type-south-sudan", "Crop Type South Sudan", "remote sensing", ("mIoU",),
        "https://sustainlab-group.github.io/sustainbench, with its folder southsudan",
        "labelled_scenes:read_south_sudan", (), _miou(55.53, 49.38),
    ),
    *(
        Task(
            f"mosaiks-{variable.replace('_', '-')}", f"MOSAIKS {variable.replace('_', ' ')}",
            "location", _REGRESSION, _MOSAIKS.format(variable),
            "labelled_places:read_mosaiks", (variable,),
        )
        for variable in ("population", "elevation", "forest_cover", "nightlights")
    ),
    Task(
        "birdsnap", "BirdSnap", "species prior", _TOPS,
        _SIGHTINGS.format("birdsnap_with_loc_2019.json"),
        "labelled_places:read_birds", ("birdsnap",),
    ),
    Task(
        "nabirds", "NABirds", "species prior", _TOPS,
        _SIGHTINGS.format("nabirds_with_loc_2019.json"),
        "labelled_places:read_birds", ("nabirds",),
    ),
    Task(
        "inat2017", "iNat2017", "species prior", _TOPS,
        _SIGHTINGS.format("train2017.json and its siblings"),
        "labelled_places:read_inat", (2017,),
    ),
    Task(
        "inat2018", "iNat2018", "species prior", _TOPS,
        _SIGHTINGS.format("train2018.json and its siblings"),
        "labelled_places:read_inat", (2018,),
    ),
    Task(
        "yfcc100m-geo100", "YFCC100M-GEO100", "species prior", _TOPS,
        _SIGHTINGS.format("train_test_split.csv"),
        "labelled_places:read_yfcc",
    ),
)  # fmt: skip
"""Those of the paper."""
COORDBENCH = Task(
    coordbench.TASK,
    "CoordBench",
    "coordinates",
    coordbench.METRICS,
    "https://huggingface.co/datasets/taylor-geospatial/CoordBench, with its folder data",
    "coordinate_tables:read_coordbench",
    published={
        metric: {
            model: round(100 * value, 1) if metric.startswith("accuracy") else value
            for model, value in of_models.items()
        }
        for metric, of_models in coordbench.PUBLISHED.items()
    },
    source=MIND,
)
"""A benchmark of others, of location encoders alone."""
EVERY_TASK = (*TASKS, COORDBENCH)


def task_named(name: str) -> Task:
    """A task by its name.

    Raises:
        UsageError: there is none; near ones are named.
    """
    by_name = {task.name: task for task in EVERY_TASK}
    if name not in by_name:
        raise UsageError(
            f"no task {name!r}{nearest(name, list(by_name))}; see them with `task` list"
        )
    return by_name[name]


def describe_tasks() -> str:
    """A paragraph a task, for people."""
    lines = []
    for pipeline in KIND_OF:
        lines.append(f"{pipeline} ({'frozen' if MODE_OF[pipeline] == 'probe' else 'fine-tuned'})")
        for task in EVERY_TASK:
            if task.pipeline == pipeline:
                lines.append(f"  {task.name:<22} {', '.join(task.metrics)}")
                lines.append(f"  {'':<22} data: {task.get}")
    return "\n".join(lines)
