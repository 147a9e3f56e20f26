"""Export of trained weights as model folders, with a card that says where they come from."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.checkpoints.checkpoint import FACTS_FILE
from gair.files import disk_errors, write_whole
from gair.info import ModelInfo
from gair.model import Gair
from training.pretraining.validation import LOCATION_WEIGHT
from training.retrieval import recall_name

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gair.config import GairConfig
    from training.pretraining.checkpointing import TrainingState
    from training.pretraining.run import Run

BEST, MODEL = "best", "model"
"""Folders in a run's: the best validated weights, and those of the last step."""
NO_LICENCE = "not decided; mind the licences of the training data"


def trained_model(
    config: GairConfig, info: ModelInfo, weights: Mapping[str, Tensor], device: torch.device
) -> Gair:
    """A model in evaluation mode that shares weights in training, on their device."""
    model = Gair.without_weights(config, info)
    model.load_state_dict({name: t.detach() for name, t in weights.items()}, assign=True)
    return model.to(device).eval()


def export(run: Run, state: TrainingState, manifest: Mapping[str, Any], folder: str) -> Path:
    """Write the weights of a state as a model folder inside the run's.

    Args:
        run: the run.
        state: which weights; the averaged ones where there are any.
        manifest: of the data set.
        folder: ``best`` or ``model``; an earlier one is replaced when the new one is whole.
    """
    facts = training_facts(run, state, manifest)
    model = state.objective.model
    config = model.config
    if run.config.learnable_temperature:
        temperature = float(state.objective.temperature.detach())
        config = dataclasses.replace(config, temperature=temperature)
    licence = run.config.licence or run.record["base_licence"] or NO_LICENCE
    source = f"training.pretrain, run {run.name}, step {state.step}"
    info = ModelInfo(run.name, licence, trained=True, source=source)
    final, hidden = run.folder / folder, run.folder / f".{folder}.writing"
    with disk_errors(final):
        shutil.rmtree(hidden, ignore_errors=True)
        trained = trained_model(config, info, state.weights(), model.device)
        trained.save_pretrained(hidden, about=card_section(facts))
        write_whole(hidden / FACTS_FILE, json.dumps(facts, indent=1).encode())
        shutil.rmtree(final, ignore_errors=True)
        hidden.rename(final)
    return final


def training_facts(run: Run, state: TrainingState, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """How weights came to be, as plain JSON types."""
    loader, device = state.loader, state.objective.model.device
    # JSON knows no infinity.
    measured = {name: v if abs(v) < float("inf") else None for name, v in state.last.items()}
    data = {
        name: manifest.get(name)
        for name in ("synthetic", "splits", "licences", "sources", "attributions")
    }
    return {
        "run": run.name,
        "commit": run.record["commit"],
        "seed": run.config.seed,
        "steps": state.step,
        "epochs": round(state.step / loader.batches_per_epoch, 3),
        "photos_per_step": run.record["batch_photos"],
        "averaged_weights": state.ema is not None,
        "hours": round(state.seconds / 3600, 4),
        "device": _device_name(device),
        "ranks": run.record["ranks"],
        "torch": run.record["torch"],
        "initial_weights": run.record.get("initial_weights", []),
        "data": {"sha256": run.record["data_sha256"], **data},
        "validation": measured if state.last.get("step") == state.step else {},
        "location_temperature": float(state.objective.location_temperature.detach()),
        **_location_weight(measured if state.last.get("step") == state.step else {}),
        "config": run.config.to_dict(),
    }


def _location_weight(measured: Mapping[str, float | None]) -> dict[str, float]:
    """The weight of locations that a search should start from; nothing where none was measured."""
    weight = measured.get(LOCATION_WEIGHT)
    return {} if weight is None else {LOCATION_WEIGHT: weight}


def card_section(facts: Mapping[str, Any]) -> str:
    """The part of the card about the training."""
    data, measured = facts["data"], facts["validation"]
    photos = data["splits"].get("train", {}).get("photos", 0)
    kind = (
        "**synthetic** photos and imagery of made-up places"
        if data["synthetic"]
        else "photos and imagery of real places"
    )
    lines = [
        "## Training",
        "",
        f"- **Data:** {photos:,} {kind}; sha256 of the data set `{data['sha256']}`",
        f"- **Licences of the photos:** {_counted(data['licences'])}",
        f"- **Sources of the photos:** {_counted(data['sources'])}",
        f"- **Imagery:** {'; '.join(data['attributions'] or ['no attribution stated'])}",
        f"- **Length:** {facts['steps']:,} steps of {facts['photos_per_step']} photos, "
        f"{facts['epochs']:g} epochs, seed {facts['seed']}",
        f"- **Cost:** {facts['hours']:g} hours on {facts['ranks']} x {facts['device']}",
        f"- **Initial weights:** {'; '.join(facts['initial_weights']) or 'random'}",
        f"- **Program:** commit {facts['commit']}, torch {facts['torch']}",
    ]
    if measured:
        lines += ["", "On the held-out places of the split val:", "", "| metric | model | chance |"]
        lines += ["|---|---|---|"]
        for name, value in measured.items():
            if f"chance_{name}" in measured:
                lines.append(f"| {name} | {_shown(value)} | {_shown(measured['chance_' + name])} |")
    if LOCATION_WEIGHT in facts:
        lines += ["", _location_line(facts)]
    return "\n".join([*lines, "", f"All settings are in `{FACTS_FILE}`.", ""])


def _location_line(facts: Mapping[str, Any]) -> str:
    recall = recall_name(10, 200.0)
    measured = facts["validation"]
    told = [f"imagery alone finds {measured[recall]:.1%} within 200 m among ten"]
    alone = measured.get(f"{recall}_location_only")
    if alone is not None:
        told.append(f"locations alone {alone:.1%}")
    return (
        f"- **Weight of locations** beside imagery of weight 1 that found most there: "
        f"{facts[LOCATION_WEIGHT]:g} ({', '.join(told)}). Where photos of the searched place were "
        "in the training, more may be right: calibrate the index."
    )


def _counted(counts: Mapping[str, int] | None) -> str:
    return ", ".join(f"{name or 'not stated'} ({n:,})" for name, n in (counts or {}).items())


def _shown(value: float | None) -> str:
    if value is None:
        return "none found"
    return f"{value:.4f}" if value < 10 else f"{value:,.0f}"


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU, {torch.get_num_threads()} threads"
