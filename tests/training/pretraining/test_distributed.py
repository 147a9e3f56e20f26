"""Two processes against one with the same global batch: losses, gradients and queue."""

from __future__ import annotations

import json
import os
import pickle
import socket
import sys
from pathlib import Path

import pytest
import torch
from micro_training import Case, Result, micro_model, run_case
from repository import REPOSITORY
from warm_processes import WarmProcess

from gair.errors import TrainingError, UsageError
from training.pretraining.distributed import any_rank, gather_with_grad, start_ranks
from training.pretraining.objective import ObjectiveOptions

WORLD = 2
LEARNT = {"learnable_temperature": True, "temperature": 0.1}
NEAR = ObjectiveOptions(
    in_batch_locations=True,
    mask_near_m=500,
    location_temperature=0.2,
    stop_location_gradient=True,
    **LEARNT,
)
"""With places of a degree squeezed into a few metres: some pairs are near, on one rank and two."""
EXACT = {
    "queue only": Case(ObjectiveOptions(**LEARNT)),
    "in batch": Case(ObjectiveOptions(in_batch_locations=True, **LEARNT)),
    "in chunks": Case(ObjectiveOptions(in_batch_locations=True, **LEARNT), chunks=3),
    "single precision": Case(
        ObjectiveOptions(in_batch_locations=True, **LEARNT), dtype=torch.float32
    ),
    "incl, no weights of nili": Case(ObjectiveOptions(losses="incl", rs_query="mean")),
    "secl": Case(ObjectiveOptions(losses="secl", **LEARNT)),
    "distilled": Case(ObjectiveOptions(distill_weight=0.2)),
    "near places masked": Case(NEAR, spread=1e-5),
    "near places masked, single precision": Case(NEAR, torch.float32, spread=1e-5),
    "near places masked, in chunks": Case(NEAR, chunks=3, spread=1e-5),
    "nili-mlp": Case(ObjectiveOptions(), model={"inr_hidden": (8, 8)}),
}
OTHER = {
    "own rank's negatives": Case(ObjectiveOptions(gather=False, **LEARNT)),
}


RANK = """
import pathlib, pickle, sys
from micro_training import run_rank
run_rank(int(sys.argv[1]), *pickle.loads(pathlib.Path(sys.argv[2]).read_bytes()))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each of two processes wrote."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "told").write_bytes(pickle.dumps((WORLD, port, EXACT | OTHER, folder)))
    path = os.pathsep.join(map(str, (REPOSITORY, REPOSITORY / "tests" / "support")))
    processes = [
        WarmProcess(
            [sys.executable, "-c", RANK, str(rank), str(folder / "told")],
            env={**os.environ, "PYTHONPATH": path},
        )
        for rank in range(WORLD)
    ]
    assert [process.wait(120) for process in processes] == [0] * WORLD
    return folder


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Result]]:
    """Results of each process."""
    return [
        {name: Result(**fields) for name, fields in torch.load(folder / f"{rank}.pt").items()}
        for rank in range(WORLD)
    ]


@pytest.mark.parametrize("name", EXACT)
def test_two_processes_equal_one(ranks: list[dict[str, Result]], name: str) -> None:
    alone = run_case(EXACT[name])
    tolerance = 1e-5 if EXACT[name].dtype == torch.float32 else 1e-11
    for rank in ranks:
        many = rank[name]
        assert many.losses == pytest.approx(alone.losses, rel=tolerance)
        assert many.gradients.keys() == alone.gradients.keys()
        for weight, gradient in alone.gradients.items():
            scale = float(gradient.abs().max())
            torch.testing.assert_close(
                many.gradients[weight],
                gradient,
                rtol=0,
                atol=tolerance * max(1.0, scale),
                msg=weight,
            )
        assert torch.equal(many.queue, alone.queue)


def test_the_comparison_sees_negatives_that_are_not_gathered(
    ranks: list[dict[str, Result]],
) -> None:
    case = OTHER["own rank's negatives"]
    alone, many = run_case(case), ranks[0]["own rank's negatives"]
    assert many.losses["secl_sv"] == pytest.approx(alone.losses["secl_sv"])  # the queue is whole
    assert many.losses["incl"] < alone.losses["incl"] - 0.1
    weight = "model.street_view.projection.weight"
    assert not torch.allclose(many.gradients[weight], alone.gradients[weight], rtol=0.1)


def test_all_ranks_hold_the_same_gradients(ranks: list[dict[str, Result]]) -> None:
    for name, first in ranks[0].items():
        for weight, gradient in first.gradients.items():
            assert torch.equal(gradient, ranks[1][name].gradients[weight]), (name, weight)


def test_ranks_agree_on_flags_and_on_the_first_ones_weights(folder: Path) -> None:
    for rank in range(WORLD):
        agreed = json.loads((folder / f"{rank}.json").read_text())
        first = micro_model(seed=0).fingerprint()
        assert agreed == {"one of them": True, "none": False, "weights": first}


def test_one_process_alone_needs_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    alone = start_ranks("cpu")
    assert (alone.rank, alone.world, alone.is_first) == (0, 1, True)
    assert any_rank(True, alone)
    assert not any_rank(False, alone)
    rows = torch.ones(2, 3)
    assert gather_with_grad(rows) == (rows, 0)


def test_devices_and_environments_that_cannot_be_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        start_ranks("gpu")
    with pytest.raises(UsageError, match="torch sees no CUDA device 99"):
        start_ranks("cuda:99")
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(TrainingError, match="torchrun's environment is broken"):
        start_ranks("cpu")
