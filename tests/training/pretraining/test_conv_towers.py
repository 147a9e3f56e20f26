"""Training of convolutional towers: all that trains the others trains them."""

from __future__ import annotations

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from micro_training import ALONE, CONV_STEM, filled_queue, micro_batch, micro_model
from tiny_dataset import write_tiny_dataset
from tiny_run import arguments, write_material

from gair.errors import ModelError
from gair.model import Gair
from training.finetune.encoders.gair_encoders import frame_encoder, photo_encoder
from training.pretrain import main
from training.pretraining.build import grown_weights
from training.pretraining.initialise import initialise_towers
from training.pretraining.objective import Objective, ObjectiveOptions
from training.pretraining.optim import Ema
from training.pretraining.step import train_step
from training.pretraining.warm_start import warm_start

OPTIONS = ObjectiveOptions(distill_weight=0.3, in_batch_locations=True)


def objective(**switches: Any) -> Objective:
    torch.manual_seed(0)
    model = micro_model(**CONV_STEM).double()
    with torch.no_grad():
        for parameter in model.parameters():  # wake the residual blocks
            if not parameter.any() and parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    made = Objective(model, OPTIONS, **switches)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.add_(0.01)  # the teachers stay where they were
    return made


def gradients(trained: Objective, chunks: int = 1) -> dict[str, torch.Tensor]:
    train_step(trained, micro_batch(dtype=torch.float64), filled_queue(), ALONE, chunks=chunks)
    named = trained.named_parameters()
    return {name: p.grad for name, p in named if p.requires_grad and p.grad is not None}


def test_chunks_and_recomputed_activations_change_no_gradient() -> None:
    whole = gradients(objective())
    assert sum("trunk" in name for name in whole) > 30
    frugal = objective(checkpoint_activations=True)
    for other in (
        gradients(objective(), chunks=4),
        gradients(copy.deepcopy(frugal)),
        gradients(frugal),
    ):
        assert other.keys() == whole.keys()
        for name, gradient in whole.items():
            torch.testing.assert_close(other[name], gradient, msg=name)


def test_recomputed_activations_are_not_kept() -> None:
    def kept_by(model: Gair) -> int:
        kept = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model.street_view(torch.ones(1, 3, 32, 32, dtype=torch.float64))
            model.remote_sensing(torch.ones(1, 10, 32, 32, dtype=torch.float64))
        return kept

    assert kept_by(objective(checkpoint_activations=True).model) < kept_by(objective().model) / 2


def test_a_warm_start_sets_the_layers_that_meet() -> None:
    model = micro_model(**CONV_STEM)
    before = model.street_view.projection.weight.clone()
    batches = [micro_batch((4, 4, 4, 4), seed=seed) for seed in range(12)]
    correlations = warm_start(Objective(model, ObjectiveOptions()), batches, 150)
    assert correlations.isfinite().all()
    assert not torch.equal(model.street_view.projection.weight, before)


def test_averages_hold_every_tensor_of_such_a_model() -> None:
    model = micro_model(**CONV_STEM)
    average = Ema(model, 0.5)
    average.update(model)
    assert average.state_dict()["average"].keys() == model.state_dict().keys()


@pytest.mark.parametrize("tower", ["street_view", "remote_sensing"])
def test_weights_of_transformers_on_patches_are_refused(tower: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"init_{tower} is .* the model's stem is 'conv'"):
        initialise_towers(micro_model(**CONV_STEM), **{tower: str(tmp_path / "w.pth")})


def test_heads_read_it_at_four_depths() -> None:
    model = micro_model(**CONV_STEM, rs_final_norm=True)
    f, pixels = frame_encoder(model), torch.rand(2, 10, 32, 32)
    maps = f.encode(pixels)
    assert maps.shape == (2, 4, model.config.dim, 4, 4)
    wanted = model.encode_remote_sensing(pixels).permute(0, 3, 1, 2)
    torch.testing.assert_close(maps[:, 3], wanted)
    g = photo_encoder(model)
    assert g.encode(torch.rand(2, 3, 32, 32)).shape == (2, g.width)


def test_the_demo_preset_trains_from_standardised_bands(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "data", photos_per_place=8, footprints_per_place=2)
    flags = ["--preset", "demo", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    flags += ["--steps", "2", "--batch-photos", "8", "--warm-start-photos", "16", "--workers", "0"]
    flags += ["--photos-per-footprint", "2", "--validation-photos", "8", "--threads", "1"]
    assert main([*flags, "--no-tensorboard"]) == 0
    model = Gair.from_pretrained(tmp_path / "run" / "model")
    assert model.config.stem == "conv"
    start = Gair.with_random_weights(model.config, model.info, 0).remote_sensing.trunk
    assert not torch.equal(model.remote_sensing.trunk.input_mean, start.input_mean)
    assert (model.remote_sensing.trunk.input_sd > 0).all()
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "bands standardised: means 0." in card


def test_bands_of_trained_weights_are_not_standardised_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_material(tmp_path)
    assert main(arguments(tmp_path, tmp_path / "run", "--standardise-bands")) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert re.search("standardise.bands is on and would change the input that .*small has", told)


def test_a_trained_model_is_given_readers_that_learn(tmp_path: Path) -> None:
    write_material(tmp_path)
    base = micro_model(**CONV_STEM)
    base.save_pretrained(tmp_path / "base")
    readers = ["--sv-hidden", "6", "--rs-windows", "1,3", "--rs-hidden", "8", "--steps", "3"]
    flags = ["--model", str(tmp_path / "base"), "--lr", "0.01", *readers]
    assert main(arguments(tmp_path, tmp_path / "run", *flags)) == 0
    grown = Gair.from_pretrained(tmp_path / "run" / "model")
    assert (grown.config.sv_hidden, grown.config.rs_windows) == (6, (1, 3))
    learnt = {name: weight for name, weight in grown.named_parameters() if ".reader.out." in name}
    assert len(learnt) == 4
    silent = [name for name, weight in learnt.items() if not weight.any()]
    assert not silent


def test_readers_that_are_there_already_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_material(tmp_path)
    micro_model(**CONV_STEM, sv_hidden=5).save_pretrained(tmp_path / "base")
    flags = ["--model", str(tmp_path / "base"), "--sv-hidden", "6"]
    assert main(arguments(tmp_path, tmp_path / "run", *flags)) == 2
    assert "sv_hidden is 6 and" in capsys.readouterr().err


def test_a_trained_model_is_given_blocks_that_are_silent_first_and_learn(tmp_path: Path) -> None:
    write_material(tmp_path)
    base = micro_model(**CONV_STEM)
    base.save_pretrained(tmp_path / "base")
    assert (base.config.sv_residuals, base.config.rs_residuals) == ((1, 0, 1), (1, 0, 2))
    more = ["--sv-residuals", "1,2,1", "--rs-residuals", "2,0,3"]
    flags = ["--model", str(tmp_path / "base"), "--lr", "0.01", *more]

    silent = Gair.without_weights(
        dataclasses.replace(base.config, sv_residuals=(1, 2, 1), rs_residuals=(2, 0, 3)), base.info
    )
    silent.load_state_dict(grown_weights(silent, base, seed=0), assign=True)
    pixels = torch.rand(2, 3, base.config.sv_image_px, base.config.sv_image_px)
    frames = torch.rand(
        2, len(base.config.rs_bands), base.config.rs_frame_px, base.config.rs_frame_px
    )
    assert torch.equal(silent.encode_street_view(pixels), base.encode_street_view(pixels))
    assert torch.equal(silent.encode_remote_sensing(frames), base.encode_remote_sensing(frames))

    assert main(arguments(tmp_path, tmp_path / "run", *flags, "--steps", "3")) == 0
    grown = Gair.from_pretrained(tmp_path / "run" / "model")
    assert (grown.config.sv_residuals, grown.config.rs_residuals) == ((1, 2, 1), (2, 0, 3))
    added = {name: w for name, w in grown.named_parameters() if name not in base.state_dict()}
    assert len([name for name in added if ".out.weight" in name]) == 4
    assert all(bool(weight.any()) for weight in added.values())


def test_blocks_are_not_taken_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_material(tmp_path)
    micro_model(**CONV_STEM).save_pretrained(tmp_path / "base")
    flags = ["--model", str(tmp_path / "base"), "--rs-residuals", "1,0,1"]
    assert main(arguments(tmp_path, tmp_path / "run", *flags)) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "rs_residuals is (1, 0, 1) and" in told
    assert "has (1, 0, 2): blocks can be added" in told


def test_averages_are_left_out_of_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_material(tmp_path)
    base = micro_model(**CONV_STEM, sv_mirrored=True, rs_blur=0.6)
    base.save_pretrained(tmp_path / "base")
    flags = ["--model", str(tmp_path / "base"), "--steps", "1"]
    assert main(arguments(tmp_path, tmp_path / "run", *flags)) == 0
    assert "without the model's averages" in capsys.readouterr().err
    trained = Gair.from_pretrained(tmp_path / "run" / "model").config
    assert (trained.sv_mirrored, trained.rs_blur) == (False, 0.0)
    assert base.reconfigured(trained).config == trained
