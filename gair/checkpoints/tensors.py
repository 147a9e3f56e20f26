"""Weight file of a saved model: float32 or float16 on disk, always float32 in memory.

Half the size costs at most 1 part in 2048 of each weight. Frequencies of the location encoder stay
float32 all the same: at sigma 256 float16 would move them by up to 0.25, and so a phase by more
than a radian, which turns the vectors of places (to a cosine of 0.97 with what they were).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gair.checkpoints.release import check_shapes
from gair.errors import CheckpointError, ModelError

EXACT = ".frequencies"
"""How the names of tensors end that are never rounded."""


def weights_to_bytes(state: Mapping[str, Tensor], *, half: bool = False) -> bytes:
    """A state dict of any float types as the bytes of a safetensors file.

    Args:
        state: the model's.
        half: float16 where it does, instead of float32.

    Raises:
        ModelError: a weight is too large for float16; its tensor is named.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().float() for name, tensor in state.items()}
    if half:
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    return save({name: t.contiguous() for name, t in tensors.items()}, metadata={"format": "pt"})


def read_weights(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A weight file as float32, the same values at each reading.

    Args:
        path: written by :func:`weights_to_bytes`.
        wanted: the model's state dict, for names and shapes.

    Raises:
        CheckpointError: the file cannot be read, or its tensors are not the model's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    odd = sorted(set(state).symmetric_difference(wanted))
    if odd:
        raise CheckpointError(f"{path} has unknown or missing tensors: {', '.join(odd[:5])}")
    check_shapes(state, wanted, {name: f"{name} of {path}" for name in state})
    for name, tensor in state.items():
        if tensor.dtype not in (torch.float32, torch.float16):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"tensor {name} of {path} is {kind}; expected float32 or float16: write the file "
                "again with save_pretrained, which converts"
            )
    return {name: tensor.float() for name, tensor in state.items()}


def _halved(name: str, tensor: Tensor) -> Tensor:
    if name.endswith(EXACT):
        return tensor
    halved = tensor.half()
    lost = halved.isinf() & tensor.isfinite()
    if bool(lost.any()):
        raise ModelError(
            f"tensor {name} holds {float(tensor[lost][0]):g}, and float16 ends at 65504: save the "
            "model without `half`"
        )
    return halved
