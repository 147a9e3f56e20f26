"""Weight files: float32 or float16 on disk, float32 in memory, everything else refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_run import SMALL, small_model
from torch.nn import functional as F

from gair.cli import main
from gair.errors import CheckpointError, ModelError
from gair.model import Gair

FILE = "model.safetensors"


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model().save_pretrained(tmp_path_factory.mktemp("half"), half=True)


def vectors(model: Gair) -> dict[str, torch.Tensor]:
    """All three encoders and NILI, on the same inputs."""
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator) * 2 - 1

    with torch.inference_mode():
        token_maps = model.encode_remote_sensing(uniform(4, 10, 32, 32))
        return {
            "s": model.encode_street_view(uniform(4, 3, 32, 32)),
            "z": model.localize(token_maps, uniform(4, 5, 2)),
            "l": model.encode_location(uniform(100, 2) * torch.tensor([179.0, 80.0])),
        }


def test_half_is_float16_but_for_the_frequencies(halved: Path, tmp_path: Path) -> None:
    stored, exact = load_file(halved / FILE), small_model().state_dict()
    for name, tensor in stored.items():
        assert tensor.dtype == (torch.float32 if "frequencies" in name else torch.float16), name
        assert torch.equal(tensor, exact[name].to(tensor.dtype)), name
    whole = small_model().save_pretrained(tmp_path) / FILE
    assert (halved / FILE).stat().st_size < 0.6 * whole.stat().st_size


def test_a_loaded_half_is_float32_and_the_same_each_time(halved: Path) -> None:
    first, again = Gair.from_pretrained(halved), Gair.from_pretrained(halved)
    assert {t.dtype for t in first.state_dict().values()} == {torch.float32}
    assert first.fingerprint() == again.fingerprint() != small_model().fingerprint()


def test_a_half_saved_again_has_the_same_fingerprint(halved: Path, tmp_path: Path) -> None:
    model = Gair.from_pretrained(halved)
    for half in (False, True):
        saved = model.save_pretrained(tmp_path / str(half), half=half)
        assert Gair.from_pretrained(saved).fingerprint() == model.fingerprint()


def test_half_changes_vectors_by_a_thousandth_at_most(halved: Path) -> None:
    """Frequencies in float16 would turn the location vectors by several hundredths."""
    assert max(SMALL.location_sigmas) == 256
    rounded, wanted = vectors(Gair.from_pretrained(halved)), vectors(small_model())
    for name, exact in wanted.items():
        assert float(F.cosine_similarity(rounded[name], exact, dim=-1).min()) > 0.9999, name
        assert float((rounded[name] - exact).abs().max()) < 2e-3, name


@pytest.mark.parametrize("value", [65520.0, -123456.0])
def test_a_weight_beyond_float16_is_refused_by_name(tmp_path: Path, value: float) -> None:
    model = small_model()
    with torch.no_grad():
        model.inr.first.bias[3] = value
    with pytest.raises(
        ModelError, match=rf"tensor inr\.decoder\.bias holds {value:g}.*without `half`$"
    ):
        model.save_pretrained(tmp_path / "half", half=True)
    assert not (tmp_path / "half").exists()
    again = Gair.from_pretrained(model.save_pretrained(tmp_path / "whole"))
    assert float(again.state_dict()["inr.decoder.bias"][3]) == value


def test_the_largest_float16_and_large_frequencies_are_not_refused(tmp_path: Path) -> None:
    model = small_model()
    with torch.no_grad():
        model.inr.first.bias[3] = 65504.0
        model.state_dict()["location.capsules.2.frequencies"][0, 0] = 1e5
    again = Gair.from_pretrained(model.save_pretrained(tmp_path, half=True)).state_dict()
    assert float(again["inr.decoder.bias"][3]) == 65504
    assert float(again["location.capsules.2.frequencies"][0, 0]) == 1e5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int32])
def test_other_types_are_refused_by_name(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = small_model().save_pretrained(tmp_path)
    state = load_file(folder / FILE)
    state["street_view.pooler.bias"] = state["street_view.pooler.bias"].to(dtype)
    save_file(state, folder / FILE)
    kind = str(dtype).removeprefix("torch.")
    told = rf"street_view\.pooler\.bias of .* is {kind}; expected float32 or float16: .*save_pret"
    with pytest.raises(CheckpointError, match=told):
        Gair.from_pretrained(folder)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_model_of_another_type_is_saved_as_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    model = small_model().to(dtype)
    again = Gair.from_pretrained(model.save_pretrained(tmp_path))
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name].float()), name


def test_convert_to_half(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "untrained:tiny", str(tmp_path / "half"), "--half"]) == 0
    assert "untrained-tiny" in capsys.readouterr().out
    assert load_file(tmp_path / "half" / FILE)["inr.decoder.weight"].dtype == torch.float16
    assert "**Stored as:** float16" in (tmp_path / "half" / "README.md").read_text()
    assert main(["convert", str(tmp_path / "half"), str(tmp_path / "whole")]) == 0
    assert load_file(tmp_path / "whole" / FILE)["inr.decoder.weight"].dtype == torch.float32
    assert "float16" not in (tmp_path / "whole" / "README.md").read_text()
