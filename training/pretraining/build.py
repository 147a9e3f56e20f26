"""Data, model and state of a run, put together from its configuration."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gair.config import PRESETS, GairConfig
from gair.encoders.initial import initial_state
from gair.errors import UsageError
from gair.info import UNTRAINED_LICENCE, ModelInfo
from gair.model import Gair
from training.dataset.batches.augment import AugmentOptions
from training.dataset.batches.batch import LoaderOptions
from training.dataset.batches.loader import PairLoader
from training.dataset.shards import ShardedDataset
from training.pretraining.checkpointing import TrainingState, read_checkpoint
from training.pretraining.distributed import broadcast_weights
from training.pretraining.initialise import initialise_towers
from training.pretraining.input_statistics import frame_statistics, standardise_bands
from training.pretraining.objective import Objective, ObjectiveOptions
from training.pretraining.optim import Ema, make_optimizer
from training.pretraining.step import LocationQueue
from training.pretraining.warm_start import warm_start

if TYPE_CHECKING:
    from torch import Tensor

    from training.dataset.batches.source import PhotoSource
    from training.pretraining.config import PretrainConfig
    from training.pretraining.distributed import Ranks
    from training.pretraining.run import Run


READERS = ("sv_hidden", "rs_windows", "rs_hidden")
"""Fields of a model's second readers, which a trained model may be given."""
BLOCKS = ("sv_residuals", "rs_residuals")
"""Fields of residual blocks by stage, of which a trained model may be given more."""


def open_data(run: Run) -> tuple[ShardedDataset, ShardedDataset | None]:
    """The splits train and val; None where there is no photo to validate on."""
    train = ShardedDataset.open(run.data, "train")
    counts: dict[str, Any] = train.manifest["splits"].get("val", {})
    return train, ShardedDataset.open(run.data, "val") if counts.get("photos") else None


def photo_source(train: ShardedDataset) -> PhotoSource | None:
    """Who draws the photos of a split; None where they are in its shards."""
    if not train.is_drawn:
        return None
    from training.synthetic.drawn.photos import DrawnPhotos

    return DrawnPhotos(train)


def build_model(run: Run, train: ShardedDataset, say: Callable[[str], None]) -> Gair:
    """The model as it is before the first step.

    For a run to resume its weights do not matter, so those it began with need not be there any
    more. What the model came from is added to the run's record.

    Args:
        run: the run.
        train: the split to train on; its footprints become the model's.
        say: told what was loaded from where.

    Raises:
        UsageError: an override does not fit weights that are there already.
        ModelError: there is no such model.
    """
    config = run.config
    if run.resumed_step is not None:
        return _random(GairConfig.from_dict(run.record["gair"]), config.seed)
    footprint_m = float(train.manifest["footprint_mercator_m"])
    lines: list[str] = []
    if config.model in PRESETS:
        model = _random(_with_overrides(config, PRESETS[config.model], footprint_m), config.seed)
        run.record["base_licence"] = ""
    else:
        base = Gair.from_pretrained(config.model)
        model = Gair.without_weights(_same_shape(config, base.config, footprint_m), base.info)
        model.load_state_dict(grown_weights(model, base, config.seed), assign=True)
        run.record["base_licence"] = base.info.licence if base.info.trained else ""
        lines.append(f"{base.info.name} ({base.info.source}), licence {base.info.licence}")
        if base.config != base.config.without_averages():
            say("note: trained without the model's averages; gair convert gives them to the result")
        if not math.isclose(base.config.footprint_mercator_m, footprint_m, rel_tol=1e-3):
            had = f"{base.config.footprint_mercator_m:,.0f}"
            say(f"note: frames are {footprint_m:,.0f} Web-Mercator m wide; the model knew {had} m")
    lines += initialise_towers(
        model,
        street_view=config.init_street_view or None,
        remote_sensing=config.init_remote_sensing or None,
        location=config.init_location or None,
    )
    if config.standardise_bands:
        _check_bands_are_new(config)
        mean, sd = frame_statistics(train, model.config.rs_frame_px, config.seed)
        lines.append(standardise_bands(model, mean, sd))
    for line in lines:
        say(line)
    run.record.update(gair=model.config.to_dict(), initial_weights=lines)
    return model


def build_state(run: Run, model: Gair, train: ShardedDataset, ranks: Ranks) -> TrainingState:
    """Everything that a step changes, fresh or from the run's checkpoint."""
    config = run.config
    batch_photos = config.batch_of(ranks.world)
    torch.manual_seed(config.seed)
    objective = Objective(
        model, objective_options(config), checkpoint_activations=config.checkpoint_activations
    )
    objective.to(ranks.device).train()
    if config.warm_start_photos and run.resumed_step is None and ranks.is_first:
        _warm_start(run, objective, train, batch_photos)
    broadcast_weights(objective)
    loader = PairLoader(
        train,
        loader_options(config, batch_photos),
        model.config,
        rank=ranks.rank,
        world=ranks.world,
        source=photo_source(train),
    )
    first, second = config.betas
    state = TrainingState(
        objective=objective,
        optimizer=make_optimizer(
            objective,
            lr=config.peak_lr(batch_photos),
            weight_decay=config.weight_decay,
            betas=(first, second),
        ),
        queue=filled_queue(config, train, ranks.device),
        loader=loader,
        ema=Ema(model, config.ema_decay) if config.ema_decay else None,
    )
    if run.resumed_step is not None:
        state.load(read_checkpoint(run.folder, run.resumed_step))
    if config.compile:  # in place, so that names of weights stay as they are
        model.street_view.tower.compile()
        model.remote_sensing.compile()
    return state


def _check_bands_are_new(config: PretrainConfig) -> None:
    """Refuse to rescale the input of weights that have learnt from another."""
    learnt = config.init_remote_sensing or (config.model if config.model not in PRESETS else "")
    if learnt:
        raise UsageError(
            f"standardise_bands is on and would change the input that {learnt} has learnt: turn "
            "it off, or start from a preset"
        )


def _warm_start(run: Run, objective: Objective, train: ShardedDataset, batch_photos: int) -> None:
    """Let photos and imagery agree before the first step; noted in the run's record."""
    if run.config.model not in PRESETS:
        raise UsageError(
            f"warm_start_photos is {run.config.warm_start_photos} and would undo what "
            f"{run.config.model} has learnt: pass 0, or start from a preset"
        )
    options = dataclasses.replace(
        loader_options(run.config, batch_photos), augment=AugmentOptions.none(), workers=0
    )
    loader = PairLoader(train, options, objective.model.config, source=photo_source(train))
    wanted = min(run.config.warm_start_photos, loader.batches_per_epoch * batch_photos)
    best = warm_start(objective, loader, wanted)[:4].tolist()
    run.record["initial_weights"] = [
        *run.record["initial_weights"],
        f"canonical correlation of {wanted:,} photos, the best "
        + ", ".join(f"{value:.2f}" for value in best),
    ]


def objective_options(config: PretrainConfig) -> ObjectiveOptions:
    """The part of the configuration that is about the objective."""
    names = [field.name for field in dataclasses.fields(ObjectiveOptions)]
    return ObjectiveOptions(**{name: getattr(config, name) for name in names})


def loader_options(config: PretrainConfig, batch_photos: int) -> LoaderOptions:
    """The part of the configuration that is about batches."""
    return LoaderOptions(
        batch_photos=batch_photos,
        photos_per_footprint=config.photos_per_footprint,
        seed=config.seed,
        workers=config.workers,
        prefetch=config.prefetch,
        coordinate_noise_m=config.coordinate_noise_m,
        skip_broken=config.skip_broken,
        augment=AugmentOptions(
            brightness=config.photo_jitter,
            contrast=config.photo_jitter,
            saturation=config.photo_jitter,
            gain=config.photo_jitter / 4,
            flip=config.flip,
            crop=config.photo_crop,
            frame_symmetries=config.frame_symmetries,
            frame_brightness=config.frame_jitter,
            frame_gain=config.frame_jitter / 2,
        ),
    )


def filled_queue(
    config: PretrainConfig, train: ShardedDataset, device: torch.device
) -> LocationQueue:
    """A queue that holds real locations from the first step: random ones of the data set."""
    queue = LocationQueue(config.queue_size, device)
    count = min(config.queue_size, len(train.lonlat_deg))
    rng = np.random.default_rng([config.seed, 11])
    chosen = rng.choice(len(train.lonlat_deg), size=count, replace=False)
    queue.push(torch.from_numpy(train.lonlat_deg[chosen]))
    return queue


def _random(config: GairConfig, seed: int) -> Gair:
    info = ModelInfo("in training", UNTRAINED_LICENCE, trained=False, source="random weights")
    return Gair.with_random_weights(config, info, seed)


def _with_overrides(config: PretrainConfig, base: GairConfig, footprint_m: float) -> GairConfig:
    return dataclasses.replace(
        base.without_averages(),
        footprint_mercator_m=footprint_m,
        temperature=config.temperature,
        location_sigmas=config.sigmas or base.location_sigmas,
        inr_hidden=config.inr_hidden or base.inr_hidden,
        **{name: getattr(config, name) or getattr(base, name) for name in (*READERS, *BLOCKS)},
    )


def grown_weights(model: Gair, base: Gair, seed: int) -> dict[str, Tensor]:
    """The weights of a model, and drawn ones of the readers and blocks that it lacks.

    Args:
        model: the grown one, for its names and shapes.
        base: whose weights there are.
        seed: of the drawn ones; their last layers are zero, so the grown model says what ``base``
            says.
    """
    own = base.state_dict()
    missing = {name: shape for name, shape in model.state_dict().items() if name not in own}
    return {**own, **initial_state(missing, model.config, seed)}


def _same_shape(config: PretrainConfig, base: GairConfig, footprint_m: float) -> GairConfig:
    wanted = _with_overrides(config, base, footprint_m)
    fixed = [("sigmas", "location_sigmas"), ("inr_hidden", "inr_hidden")]
    fixed += [(name, name) for name in READERS if getattr(base, name)]
    for flag, name in fixed:
        if getattr(wanted, name) != getattr(base, name):
            raise UsageError(
                f"{flag} is {getattr(wanted, name)} and {config.model} has {getattr(base, name)}: "
                f"leave {flag} away to go on with its weights"
            )
    for name in BLOCKS:
        had, asked = getattr(base, name), getattr(wanted, name)
        if any(more < own for own, more in zip(had, asked, strict=False)):
            raise UsageError(
                f"{name} is {asked} and {config.model} has {had}: blocks can be added to its "
                "stages and not taken away"
            )
    return wanted
