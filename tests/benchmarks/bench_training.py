"""A training step beside the bare towers, and what chunks cost and save."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch
from measuring import medians_s, process_memory_gb, report
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from towers import Towers, Trial, made_batch

from training.pretraining.build import objective_options
from training.pretraining.config import PRESETS

PAPER, DEMO = (objective_options(PRESETS[name]) for name in ("paper", "demo"))
ON_A_CPU = {
    # The paper's proportions: a frame for each photo, 16 locations in the queue for each photo.
    "tiny": Trial("tiny", 64, 1, dataclasses.replace(PAPER, queue_size=1024)),
    # The demo as it is trained.
    "demo": Trial("demo", 128, 8, DEMO, torch.bfloat16),
}
ON_A_GPU = Trial("base", 256, 1, PAPER, torch.bfloat16, "cuda")
CHUNKS = 4
ROUNDS = 7
MOST_MEMORY_OF_CHUNKS = 0.5
WANTED_SHARE_OF_BARE = 0.9
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12}
"""Dense bfloat16 of the SXM boards (https://www.nvidia.com/en-us/data-center/h100/,
https://www.nvidia.com/en-us/data-center/h200/), by a part of the device's name."""

on_a_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device: bf16 on a GPU is measured on one"
)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("name", ON_A_CPU)
def test_a_step_beside_the_bare_towers(name: str) -> None:
    trial, towers = ON_A_CPU[name], Towers(ON_A_CPU[name])
    bare_s, step_s, chunked_s = medians_s(
        towers.bare, towers.step, lambda: towers.step(CHUNKS), rounds=ROUNDS
    )
    whole_gb, chunked_gb = (_step_memory_gb(trial, chunks) for chunks in (1, CHUNKS))
    rates = [trial.photos / seconds for seconds in (bare_s, step_s, chunked_s)]
    memory = chunked_gb / whole_gb
    report(
        f"{_described(trial)}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        f"bare towers      {rates[0]:7.0f} photos/s",
        f"a step           {rates[1]:7.0f} photos/s   {rates[1] / rates[0]:.2f} of bare   "
        f"{whole_gb:.2f} GB",
        f"in {CHUNKS} chunks      {rates[2]:7.0f} photos/s   {chunked_s / step_s:.2f}x the time   "
        f"{chunked_gb:.2f} GB, {memory:.2f}x (wanted at most {MOST_MEMORY_OF_CHUNKS}x)",
    )
    assert memory <= MOST_MEMORY_OF_CHUNKS


def test_the_formula_counts_what_torch_counts() -> None:
    trial = dataclasses.replace(ON_A_CPU["demo"], photos=8, autocast=None)
    towers = Towers(trial)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        towers.bare()
    assert counter.get_total_flops() == pytest.approx(towers.flops(), rel=1e-3)


@on_a_gpu
def test_base_in_bf16_on_a_gpu() -> None:
    towers = Towers(ON_A_GPU)
    runs = (towers.bare, towers.step, towers.step_and_update)
    seconds = medians_s(*(_finished(run) for run in runs), rounds=ROUNDS)
    torch.cuda.reset_peak_memory_stats()
    towers.step_and_update()
    memory_gb = torch.cuda.max_memory_allocated() / 1e9
    share = seconds[0] / seconds[1]
    names = ("bare towers", "a step", "and an update")
    lines = [
        f"{name:14} {ON_A_GPU.photos / s:7.0f} photos/s   {seconds[0] / s:.2f} of bare   "
        f"{_utilisation(towers.flops() / s)}"
        for name, s in zip(names, seconds, strict=True)
    ]
    report(
        f"{_described(ON_A_GPU)}, {torch.cuda.get_device_name()}",
        *lines,
        f"wanted: a step at {WANTED_SHARE_OF_BARE} of bare; peak memory {memory_gb:.1f} GB",
    )
    assert share >= WANTED_SHARE_OF_BARE


@on_a_gpu
def test_the_largest_contrastive_batch_of_a_gpu() -> None:
    """Chunks of 256 photos; the batch doubles until the GPU is full."""
    towers = Towers(ON_A_GPU)
    lines, photos = [], ON_A_GPU.photos
    while line := _doubled(towers, photos):
        lines.append(line)
        photos *= 2
    report(f"{_described(ON_A_GPU)} a chunk, {torch.cuda.get_device_name()}", *lines)
    assert photos > 2 * ON_A_GPU.photos


def _doubled(towers: Towers, photos: int) -> str:
    """One step with so many photos, described; "" where there is no room for it."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    chunks = photos // ON_A_GPU.photos
    try:
        towers.batch = made_batch(towers.config, photos, ON_A_GPU.photos_per_frame, towers.device)
        [seconds] = medians_s(_finished(lambda: towers.step(chunks)), rounds=1)
    except torch.cuda.OutOfMemoryError:
        return ""
    memory_gb = torch.cuda.max_memory_allocated() / 1e9
    return f"{photos:7,} photos   {photos / seconds:7.0f} photos/s   {memory_gb:5.1f} GB"


def _finished(run: Callable[[], object]) -> Callable[[], None]:
    """A run that returns when the GPU has done it."""

    def finished() -> None:
        run()
        torch.cuda.synchronize()

    return finished


def _utilisation(flops_per_s: float) -> str:
    name = torch.cuda.get_device_name()
    peak = next((peak for part, peak in PEAK_FLOPS.items() if part in name), None)
    share = f", MFU {flops_per_s / peak:.2f}" if peak else ""
    return f"{flops_per_s / 1e12:.0f} TFLOP/s{share}"


def _described(trial: Trial) -> str:
    precision = "bf16" if trial.autocast else "float32"
    frames = -(-trial.photos // trial.photos_per_frame)
    queue = trial.options.queue_size
    return f"{trial.preset}, {trial.photos} photos, {frames} frames, queue {queue:,}, {precision}"


def _step_memory_gb(trial: Trial, chunks: int) -> float:
    """The most memory of a step beyond what was there before, in a process of its own."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(measure_step, trial, chunks, torch.get_num_threads()).result()


def measure_step(trial: Trial, chunks: int, threads: int) -> float:
    """The entry of the process."""
    torch.set_num_threads(threads)
    towers, frame = Towers(trial), trial.photos_per_frame
    wanted = towers.batch
    towers.batch = made_batch(towers.config, 4 * frame, frame, towers.device)
    towers.step(CHUNKS)  # libraries load and take what they keep
    towers.batch = wanted
    before_gb, _ = process_memory_gb()
    towers.step(chunks)
    return process_memory_gb()[1] - before_gb
