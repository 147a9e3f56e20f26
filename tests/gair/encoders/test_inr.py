"""NILI: its forms against a loop of the definition, and where x and y point."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from formulas import nili_loop

from gair.config import GairConfig, preset
from gair.encoders.initial import initial_state
from gair.encoders.inr import Nili, corners, unfold_3x3
from gair.errors import FootprintError, ModelError
from gair.model import Gair

EDGES = [-1.0, -0.999999, -0.93, 0.0, 0.31, 0.93, 0.999999, 1.0]


def points_with_edges(count: int, seed: int) -> torch.Tensor:
    """Random points, and every corner, edge and near-edge combination: (1, N, 2) float64."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(EDGES, EDGES), axis=-1).reshape(-1, 2)
    return torch.from_numpy(np.concatenate([rng.uniform(-1, 1, (count, 2)), grid]))[None]


@pytest.fixture
def nili() -> Nili:
    torch.manual_seed(0)
    return Nili(6).double()


@pytest.mark.parametrize("grid", [(12, 12), (3, 7), (7, 3), (1, 4), (1, 1)])
@pytest.mark.parametrize("form", ["local_ensemble", "dense"])
def test_both_forms_equal_the_loop_of_the_definition(
    nili: Nili, grid: tuple[int, int], form: str
) -> None:
    token_map = torch.randn(1, *grid, 6, dtype=torch.float64)
    xy = points_with_edges(20, seed=1)
    with torch.no_grad():
        z = getattr(nili, form)(token_map, xy)[0].numpy()
    weight, bias = (p.detach().numpy() for p in nili.decoder.parameters())
    wanted = [nili_loop(token_map[0].numpy(), weight, bias, x, y) for x, y in xy[0].tolist()]
    np.testing.assert_allclose(z, np.array(wanted), rtol=0, atol=1e-9)


def test_few_points_of_many_frames_are_those_of_the_whole_maps(nili: Nili) -> None:
    maps = torch.randn(
        5, 4, 6, nili.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    xy = points_with_edges(40, seed=3).to(maps.dtype).reshape(-1, 2)
    frame = torch.arange(len(xy)) * 7 % 5
    rows: list[int] = []

    def read(row: torch.Tensor) -> torch.Tensor:
        rows.extend(row.tolist())
        return maps.reshape(-1, nili.dim)[row]

    z = nili.at_few_points(read, frame, xy, (4, 6))
    expected = torch.stack(
        [nili.dense(maps[f][None], at[None, None])[0, 0] for f, at in zip(frame, xy, strict=True)]
    )
    torch.testing.assert_close(z, expected)
    assert len(rows) == len(set(rows))
    torch.testing.assert_close(nili.at_convolved(nili.convolved(maps), frame, xy), expected)
    centre = nili.at_few_points(read, frame[:1] * 0 + 2, torch.zeros(1, 2, dtype=xy.dtype), (4, 6))
    torch.testing.assert_close(
        centre, nili.dense(maps[[2]], torch.zeros(1, 1, 2, dtype=xy.dtype))[0]
    )


def test_dense_equals_general_in_float32_at_full_width() -> None:
    torch.manual_seed(0)
    nili = Nili(768)
    token_maps = torch.randn(2, 12, 12, 768)
    xy = points_with_edges(200, seed=2).float().expand(2, -1, -1)
    with torch.no_grad():
        general = nili.local_ensemble(token_maps, xy)
        dense = nili.dense(token_maps, xy)
    assert (general - dense).abs().max() < 1e-5


def test_x_points_right_and_y_points_down_on_a_frame_that_is_not_square() -> None:
    """Tokens hold their own centre; a decoder that reads the centre token must return the point."""
    height, width = 5, 9
    rows = 2 * (torch.arange(height, dtype=torch.float64) + 0.5) / height - 1
    columns = 2 * (torch.arange(width, dtype=torch.float64) + 0.5) / width - 1
    token_map = torch.stack(torch.broadcast_tensors(columns[None], rows[:, None]), dim=-1)[None]
    nili = Nili(2).double()
    with torch.no_grad():
        nili.decoder.bias.zero_()
        nili.decoder.weight.zero_()
        nili.decoder.weight[0, 4] = 1.0  # channel 0, middle of the 3 x 3 neighbourhood
        nili.decoder.weight[1, 9 + 4] = 1.0
    inner = torch.tensor([[[0.5, -0.25], [-0.7, 0.7], [0.0, 0.0], [0.8, -0.1]]]).double()
    for form in (nili.local_ensemble, nili.dense):
        with torch.no_grad():
            torch.testing.assert_close(form(token_map, inner), inner, atol=1e-5, rtol=0)


def test_relative_coordinates_cancel_inside_the_grid_and_not_at_the_rim() -> None:
    nearest = corners(torch.tensor([[[0.1, -0.2], [1.0, 1.0]]], dtype=torch.float64), (12, 12))
    blended = (nearest.weight[..., None] * nearest.offset).sum(-2)
    assert blended[0, 0].abs().max() < 1e-6
    assert blended[0, 1].abs().min() > 0.5


@pytest.mark.parametrize("form", ["local_ensemble", "dense"])
def test_gradients(form: str) -> None:
    torch.manual_seed(0)
    nili = Nili(2).double()
    token_map = torch.randn(1, 3, 4, 2, dtype=torch.float64, requires_grad=True)
    xy = torch.tensor([[[0.13, -0.41], [0.97, -0.98], [-0.2, 0.66]]], dtype=torch.float64)
    weight = nili.decoder.weight.detach().clone().requires_grad_()

    def run(tokens: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(
            _Form(nili, form), {"nili.decoder.weight": w}, (tokens, xy)
        )

    assert torch.autograd.gradcheck(run, (token_map, weight))


class _Form(torch.nn.Module):
    def __init__(self, nili: Nili, form: str) -> None:
        super().__init__()
        self.nili = nili
        self.form = form

    def forward(self, tokens: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = getattr(self.nili, self.form)(tokens, xy)
        return out


@pytest.fixture(scope="module")
def tiny() -> Gair:
    return Gair.untrained("tiny")


def test_baseline_modes(tiny: Gair) -> None:
    """Tokens that are linear in x and y: bilinear returns the plane, the mean its centre."""
    grid, dim = 12, tiny.config.dim
    centres = 2 * (torch.arange(grid) + 0.5) / grid - 1
    plane = torch.zeros(1, grid, grid, dim)
    plane[..., 0] = centres[None]
    plane[..., 1] = centres[:, None]
    xy = torch.tensor([[[0.4, -0.3], [-0.62, 0.11]]])
    for mode, tolerance in (("bilinear", 1e-6), ("bicubic", 1e-2)):
        z = tiny.localize(plane, xy, mode=mode, normalize=False)  # type: ignore[arg-type]
        torch.testing.assert_close(z[..., :2], xy, atol=tolerance, rtol=0)
    mean = tiny.localize(plane, xy, mode="mean", normalize=False)
    torch.testing.assert_close(mean[..., :2], torch.zeros_like(xy), atol=1e-6, rtol=0)


def test_localize_normalises_on_request_and_picks_equal_forms(tiny: Gair) -> None:
    token_maps = torch.randn(2, 12, 12, tiny.config.dim)
    xy = torch.rand(2, 50, 2) * 2 - 1
    with torch.no_grad():
        raw = tiny.localize(token_maps, xy, normalize=False)
        unit = tiny.localize(token_maps, xy)
        few = tiny.localize(token_maps, xy[:, :3], normalize=False)  # the general form is cheaper
    torch.testing.assert_close(unit, torch.nn.functional.normalize(raw, dim=-1))
    torch.testing.assert_close(few, raw[:, :3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bad", [1.01, -1.5, float("nan"), float("inf")])
def test_a_point_outside_the_frame_is_refused(tiny: Gair, bad: float) -> None:
    xy = torch.tensor([[[0.0, 0.0], [0.2, bad]]])
    with pytest.raises(FootprintError, match="outside its frame"):
        tiny.localize(torch.zeros(1, 12, 12, tiny.config.dim), xy)


def test_wrong_shapes_and_modes_are_refused(tiny: Gair) -> None:
    tokens = torch.zeros(1, 12, 12, tiny.config.dim)
    with pytest.raises(ModelError, match=r"query points have shape \(2, 1, 2\)"):
        tiny.localize(tokens, torch.zeros(2, 1, 2))
    with pytest.raises(ModelError, match="unknown query mode 'nearest'"):
        tiny.localize(tokens, torch.zeros(1, 1, 2), mode="nearest")  # type: ignore[arg-type]


HIDDEN = (5, 7)


def mlp_loop(nili: Nili, token_map: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
    """The definition with a decoder of any kind: (h, w, D) and (N, 2) to (N, D)."""
    unfolded = unfold_3x3(token_map[None])[0]
    nearest = corners(xy[None], (token_map.shape[0], token_map.shape[1]))
    rows = []
    for point in range(len(xy)):
        answers = [
            nearest.weight[0, point, k]
            * nili.decoder(
                torch.cat([unfolded[nearest.index[0, point, k]], nearest.offset[0, point, k]])
            )
            for k in range(4)
        ]
        rows.append(torch.stack(answers).sum(0))
    return torch.stack(rows)


@pytest.mark.parametrize("hidden", [(), HIDDEN])
@pytest.mark.parametrize("grid", [(12, 12), (3, 7), (1, 1)])
@pytest.mark.parametrize("count", [3, 60])
def test_points_in_any_frames_equal_the_loop(
    hidden: tuple[int, ...], grid: tuple[int, int], count: int
) -> None:
    """Few points and many: a decoder with hidden layers treats them differently."""
    torch.manual_seed(0)
    nili = Nili(6, hidden).double()
    token_maps = torch.randn(3, *grid, 6, dtype=torch.float64)
    xy = points_with_edges(count, seed=3)[0, -count:]
    frame = torch.arange(count) % 3
    with torch.no_grad():
        z = nili.at_points(token_maps, frame, xy)
        for i in range(3):
            wanted = mlp_loop(nili, token_maps[i], xy[frame == i])
            torch.testing.assert_close(z[frame == i], wanted)


def test_a_decoder_with_hidden_layers_equals_the_loop_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    nili = Nili(6, HIDDEN).double()
    token_maps, xy = torch.randn(2, 3, 4, 6, dtype=torch.float64), points_with_edges(20, seed=4)
    xy = torch.cat([xy, xy.flip(1)])
    monkeypatch.setattr("gair.encoders.inr._POINTS_AT_ONCE", 7)
    with torch.no_grad():
        z = nili.local_ensemble(token_maps, xy)
        for i in range(2):
            torch.testing.assert_close(z[i], mlp_loop(nili, token_maps[i], xy[i]))


@pytest.mark.parametrize("points", [1, 3])
def test_gradients_of_a_decoder_with_hidden_layers(points: int) -> None:
    """By the tokens around each point, and by the whole map."""
    torch.manual_seed(0)
    nili = Nili(2, (3,)).double()
    token_map = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    xy = torch.tensor([[[0.13, -0.41], [0.97, -0.98], [-0.2, 0.66]]], dtype=torch.float64)
    weight = nili.first.weight.detach().clone().requires_grad_()

    def run(tokens: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(
            _Form(nili, "local_ensemble"),
            {"nili.decoder.0.weight": w},
            (tokens, xy[:, :points]),
        )

    assert torch.autograd.gradcheck(run, (token_map, weight))


def model_with_hidden(*hidden: int, seed: int = 0) -> Gair:
    config = dataclasses.replace(preset("tiny"), inr_hidden=hidden)
    model = Gair.without_weights(config, Gair.untrained("tiny").info)
    model.load_state_dict(initial_state(model.state_dict(), config, seed), assign=True)
    return model


def test_a_model_with_hidden_layers_has_no_dense_form() -> None:
    model = model_with_hidden(32, 16)
    token_maps, xy = torch.randn(1, 12, 12, 192), torch.rand(1, 300, 2) * 2 - 1
    with torch.no_grad():
        picked = model.localize(token_maps, xy)
        assert torch.equal(picked, model.localize(token_maps, xy, form="general"))
        with pytest.raises(ModelError, match="hidden layers, so there is no dense form"):
            model.localize(token_maps, xy, form="dense")
        assert model.localize(token_maps, xy[:, :0]).shape == (1, 0, 192)
    assert model.device.type == "cpu"


def test_hidden_layers_are_drawn_for_relu_and_leave_the_rest(tiny: Gair) -> None:
    state = model_with_hidden(64, 64).state_dict()
    for name, sd in (
        ("inr.decoder.0.weight", (2 / (9 * 192 + 2)) ** 0.5),
        ("inr.decoder.2.weight", (2 / 64) ** 0.5),
        ("inr.decoder.4.weight", (1 / 64) ** 0.5),
    ):
        assert float(state[name].std()) == pytest.approx(sd, rel=0.1)
    for name, tensor in tiny.state_dict().items():
        assert name.startswith("inr.") or torch.equal(state[name], tensor)


def test_hidden_layers_are_saved_and_older_configs_have_none(tmp_path: Path) -> None:
    model = model_with_hidden(16)
    loaded = Gair.from_pretrained(model.save_pretrained(tmp_path / "mlp"))
    assert loaded.config.inr_hidden == (16,)
    assert loaded.fingerprint() == model.fingerprint()
    affine = preset("tiny").to_dict()
    assert "inr_hidden" not in affine  # what affine models were saved with, and hashed from
    assert GairConfig.from_dict(affine).inr_hidden == ()
    with pytest.raises(ModelError, match="unknown or missing fields: 'sv_depth'"):
        GairConfig.from_dict({k: v for k, v in affine.items() if k != "sv_depth"})
    with pytest.raises(ModelError, match=r"inr_hidden is \(16, 0\): it must be a list of"):
        dataclasses.replace(preset("tiny"), inr_hidden=(16, 0))


def test_the_fingerprint_of_an_affine_model_is_what_it_was(tiny: Gair) -> None:
    """Computed before decoders could have hidden layers; indexes hold such values."""
    assert tiny.fingerprint() == (
        "ebdcba51a7d57d5a01bc5a890aec6562d8aacafd82393f6893d2bf83bb7d89ee"
    )
