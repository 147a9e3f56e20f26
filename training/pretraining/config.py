"""Configuration of a pretraining run, and three presets of it.

Sources: the paper (arXiv 2503.16683, section 4.4 and its supplement) for ``paper``. The docstring
under each field is also its help text on the command line. Reading this needs no torch.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from gair.errors import UsageError
from gair.inputs.field_checks import LINE, Length, Range, check_fields

RsQuery = Literal["nili", "bilinear", "bicubic", "mean"]
Losses = Literal["both", "incl", "secl"]
Autocast = Literal["off", "bf16"]
Count = Annotated[int, Range(0, 10**9)]
"""Of steps, photos or things of a batch; 0 often says that there are none."""
Some = Annotated[int, Range(1, 10**9)]
"""A count of at least one."""
Few = Annotated[int, Range(0, 1024)]
"""Of processes and threads of one machine."""
Amount = Annotated[float, Range(0, 1e9)]
"""A number that may be 0 and is never negative."""
Share = Annotated[float, Range(0, 1)]
Temperature = Annotated[float, Range(1e-4, 1e4)]


@dataclass(frozen=True)
class PretrainConfig:
    """The settings of a pretraining run; the defaults are the paper's."""

    # The model.
    model: LINE = "base"
    """Model preset to start from random weights; or a folder, checkpoint or shipped:NAME to go on
    from."""
    sigmas: Annotated[tuple[Amount, ...], Length(0, 32)] = ()
    """Scales of the location encoder, such as 1,16,256,4096; empty: the model's own."""
    inr_hidden: Annotated[tuple[Count, ...], Length(0, 32)] = ()
    """Hidden layers of NILI's decoder, such as 256,256,256 (nili-mlp); empty: the model's own."""
    sv_hidden: Annotated[int, Range(0, 16_384)] = 0
    """Hidden units of a second reader of a photo's strips; a model without one is given it, silent
    at first. 0: the model's own."""
    rs_windows: Annotated[tuple[Some, ...], Length(0, 8)] = ()
    """Sides, tokens, of windows around each token in which bands are read once more, such as 1,3,5;
    a model without them is given them, silent at first. Empty: the model's own."""
    rs_hidden: Annotated[int, Range(0, 16_384)] = 0
    """Hidden units of the layer that reads these windows; 0: the model's own."""
    sv_residuals: Annotated[tuple[Count, ...], Length(0, 8)] = ()
    """Residual blocks of each stage of the convolutions for photos, such as 1,2,4; a model that has
    fewer is given the missing ones, silent at first. Empty: the model's own."""
    rs_residuals: Annotated[tuple[Count, ...], Length(0, 8)] = ()
    """The same of the convolutions for imagery."""
    init_street_view: LINE = ""
    """Weights for the street-view tower: a timm ViT by name, or its file; empty: none."""
    init_remote_sensing: LINE = ""
    """Weights for the remote-sensing tower: a CROMA checkpoint file; empty: none."""
    init_location: LINE = ""
    """Weights for the location encoder: a GeoCLIP checkpoint file; empty: none."""
    standardise_bands: bool = False
    """Give random weights bands of mean 0 and standard deviation 1 over the data set's frames."""
    warm_start_photos: Count = 0
    """Photos that a canonical correlation of random towers is computed from, to start with; 0: no
    such start."""
    name: LINE = ""
    """Name of the trained model in its card and in answers; empty: the run folder's name."""
    licence: LINE = ""
    """Licence of the trained weights, as its card states it; empty: not decided."""

    # The objective.
    losses: Losses = "both"
    """Which losses: both, incl (street view with imagery), secl (images with locations)."""
    rs_query: RsQuery = "nili"
    """How a frame is read at a photo's point; all but nili are baselines."""
    temperature: Temperature = 0.07
    """Softmax temperature of the losses; where it starts if it is learnable."""
    learnable_temperature: bool = False
    """Learn the temperatures instead of keeping them fixed."""
    location_temperature: Amount = 0.0
    """Softmax temperature of the losses with locations; where it starts if it is learnable. 0: the
    same one as the other loss's."""
    stop_location_gradient: bool = False
    """Let the losses with locations train the location encoder alone, and leave the image towers to
    the loss between images."""
    mask_near_m: Amount = 0.0
    """Other photos and locations within this distance of a photo, metres, are none of its
    negatives. 0: all photos are; of locations, all but its own."""
    gather: bool = False
    """Use the photos of all ranks as negatives; the release uses those of the same GPU only."""
    in_batch_locations: bool = False
    """Use the other locations of the batch as negatives, beside the queue."""
    queue_size: Count = 4096
    """Earlier locations that serve as negatives; 0 needs --in-batch-locations or losses incl."""
    distill_weight: Amount = 0.0
    """Weight of the distillation from frozen copies of the initial image towers; 0: off."""

    # The budget and the batch.
    epochs: Amount = 300.0
    """Length of the run, passes over the photos; 0 if it is given in steps."""
    steps: Count = 0
    """Length of the run, optimiser steps; 0 if it is given in epochs."""
    batch_photos: Count = 0
    """Photos of one step, all ranks together; 0 if it is given for each rank."""
    batch_per_rank: Count = 256
    """Photos of one step on each rank (GPU); 0 if it is given for all together."""
    photos_per_footprint: Some = 1
    """Photos that are drawn together from one footprint: hard negatives, and fewer frames."""
    chunks: Some = 1
    """Pieces a rank computes its batch in, to save memory; the contrast stays that of the batch."""

    # The optimiser.
    base_lr: Amount = 1.5e-6
    """Peak learning rate for 256 photos a step; it grows with the batch."""
    lr: Amount = 0.0
    """Peak learning rate whatever the batch is; 0: from base_lr."""
    min_lr: Amount = 0.0
    """Learning rate at the end of the cosine."""
    warmup_share: Share = 10 / 300
    """Share of the run in which the learning rate rises from 0."""
    weight_decay: Amount = 0.05
    """AdamW's weight decay; biases, norms and the temperature have none."""
    betas: Annotated[tuple[Share, ...], Length(2, 2)] = (0.9, 0.95)
    """AdamW's two betas."""
    clip_grad_norm: Amount = 0.0
    """Longest gradient, as an L2 norm over all weights; 0: not clipped."""
    ema_decay: Share = 0.0
    """Decay of the averaged weights, which are then validated and exported; 0: none."""

    # The machine.
    autocast: Autocast = "off"
    """Arithmetic of the towers: off is float32, bf16 is bfloat16 autocast."""
    compile: bool = False
    """Compile the towers with torch.compile."""
    checkpoint_activations: bool = False
    """Recompute activations in the backward pass: less memory, a third more time."""
    workers: Few = 4
    """Processes a rank that read and decode; 0: the training process itself."""
    prefetch: Annotated[int, Range(1, 1024)] = 2
    """Batches each worker prepares ahead."""
    threads: Few = 0
    """Threads of CPU arithmetic; 0: torch's choice."""

    # The augmentation.
    flip: Share = 0.5
    """Probability of mirroring a photo left to right."""
    photo_crop: Annotated[float, Range(0, 0.9)] = 0.0
    """Most that is cut from a photo's width, and from its height, at random; 0: none."""
    frame_symmetries: bool = False
    """Turn and mirror each frame by one of the eight symmetries of the square, drawn anew for every
    batch; its photos' points move along."""
    photo_jitter: Share = 0.2
    """Most that a photo's brightness, contrast and saturation change; its tint by a quarter."""
    frame_jitter: Share = 0.1
    """Most that a frame's brightness changes; each of its bands by half."""
    coordinate_noise_m: Amount = 0.0
    """Standard deviation of an error added to each photo's coordinates, metres along each axis, to
    see what poor positions cost; a photo's error is the same in every epoch. 0: none."""
    skip_broken: bool = False
    """Leave photos out that cannot be decoded, and count them, instead of stopping."""

    # What is written, and how often.
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """Of the initial weights, the order of the photos and the augmentation."""
    validate_every: Count = 1000
    """Steps between validations on the split val; 0: only at the end."""
    validation_photos: Some = 1000
    """Most photos of a validation."""
    save_every: Count = 500
    """Steps between checkpoints; 0: only at the end."""
    keep: Some = 3
    """Newest checkpoints that are kept, beside that of the best validation."""
    log_every: Some = 20
    """Steps between lines of metrics.jsonl."""
    tensorboard: bool = True
    """Write curves for TensorBoard where it is installed."""

    def __post_init__(self) -> None:
        check_fields(self, UsageError)
        if 0 < self.location_temperature < 1e-4:
            raise UsageError(
                f"location_temperature is {self.location_temperature}: give 0 (the same as "
                "temperature) or at least 0.0001"
            )
        if self.ema_decay == 1:
            raise UsageError("ema_decay is 1: the averaged weights would never move; give less")
        for name, alternative in EXCLUSIVE:
            value, other_value = getattr(self, name), getattr(self, alternative)
            if bool(value) == bool(other_value):
                raise UsageError(
                    f"{name} is {value} and {alternative} is {other_value}: "
                    "exactly one of them must be above 0"
                )
        if max(self.betas) == 1:
            raise UsageError(f"betas are {self.betas}: give two numbers from 0 to below 1")
        if self.losses != "incl" and not self.queue_size and not self.in_batch_locations:
            raise UsageError(
                "queue_size is 0 and in_batch_locations is off, so the losses with locations have "
                "no negatives: turn one of them on, or set `losses` to incl"
            )

    def batch_of(self, ranks: int) -> int:
        """Photos of one step on a number of ranks, all together.

        Raises:
            UsageError: they cannot be dealt out evenly.
        """
        batch = self.batch_photos or self.batch_per_rank * ranks
        if batch % ranks:
            raise UsageError(f"batch_photos is {batch}, no multiple of the {ranks} ranks")
        if batch // ranks % self.chunks:
            raise UsageError(f"chunks is {self.chunks}, which does not divide {batch // ranks}")
        return batch

    def peak_lr(self, batch_photos: int) -> float:
        """The learning rate after warm-up, for a number of photos a step."""
        return self.lr or self.base_lr * batch_photos / 256

    def total_steps(self, batches_per_epoch: int) -> int:
        """Length of the run in steps, at least one."""
        return self.steps or max(1, round(self.epochs * batches_per_epoch))

    def to_dict(self) -> dict[str, Any]:
        """Plain YAML types."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }


EXCLUSIVE = (("epochs", "steps"), ("batch_photos", "batch_per_rank"))
"""Two ways to say one thing: setting one of a pair puts the other to 0."""

MAY_CHANGE = frozenset(
    "epochs steps batch_photos batch_per_rank base_lr lr min_lr warmup_share chunks autocast "
    "compile checkpoint_activations workers prefetch threads name licence skip_broken "
    "validate_every validation_photos save_every keep log_every tensorboard".split()
)
"""Fields that may differ when a run is resumed; every other one makes it another run. The two of
the batch may, as long as the batch of all ranks stays what it was."""

PRESETS: dict[str, PretrainConfig] = {
    "paper": PretrainConfig(),
    "demo": PretrainConfig(
        model="demo",
        name="gair-demo (synthetic cities)",
        licence="Apache-2.0",
        standardise_bands=True,
        warm_start_photos=4096,
        learnable_temperature=True,
        location_temperature=0.07,
        stop_location_gradient=True,
        mask_near_m=100.0,
        gather=True,
        in_batch_locations=True,
        queue_size=256,
        epochs=0,
        steps=3000,
        batch_per_rank=0,
        batch_photos=256,
        photos_per_footprint=16,
        lr=1.5e-3,
        min_lr=1.5e-5,
        warmup_share=0.02,
        clip_grad_norm=1.0,
        autocast="bf16",
        ema_decay=0.998,
        workers=1,
        photo_jitter=0.1,
        frame_symmetries=True,
        validate_every=500,
        validation_photos=500,
        save_every=250,
    ),
    "smoke": PretrainConfig(
        model="tiny",
        epochs=0,
        steps=4,
        batch_per_rank=0,
        batch_photos=8,
        photos_per_footprint=2,
        gather=True,
        queue_size=32,
        base_lr=1e-3,
        workers=0,
        validate_every=0,
        validation_photos=16,
        save_every=2,
        log_every=1,
        tensorboard=False,
    ),
}
"""``paper`` is the published recipe, ``demo`` the model that ships, ``smoke`` a few seconds."""
