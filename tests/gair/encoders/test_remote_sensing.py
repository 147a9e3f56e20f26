"""The remote-sensing encoder: ALiBi, attention and patches against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from formulas import alibi_attention_loop

from gair.config import preset
from gair.encoders.remote_sensing import Block, RemoteSensingEncoder, alibi_bias, alibi_slopes
from gair.errors import ModelError
from gair.model import Gair


def test_slopes_are_the_geometric_sequence_of_alibi() -> None:
    assert alibi_slopes(8) == pytest.approx([2.0**-i for i in range(1, 9)])
    assert alibi_slopes(16)[0] == pytest.approx(2**-0.5)
    assert alibi_slopes(16)[-1] == pytest.approx(2**-8)
    assert len(alibi_slopes(12)) == 12
    assert alibi_slopes(12)[8:] == pytest.approx([2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5])


def test_attention_equals_a_loop_with_distances() -> None:
    torch.manual_seed(0)
    block, grid = Block(8, 2).double(), (3, 5)
    tokens = torch.randn(1, 15, 8, dtype=torch.float64)
    bias = alibi_bias(2, grid).double()
    with torch.no_grad():
        qkv = block.qkv(block.norm1(tokens))[0].numpy()
        heads = [
            alibi_attention_loop(
                qkv[:, 4 * h : 4 * h + 4],
                qkv[:, 8 + 4 * h : 12 + 4 * h],
                qkv[:, 16 + 4 * h : 20 + 4 * h],
                alibi_slopes(2)[h],
                columns=5,
            )
            for h in range(2)
        ]
        mixed = tokens + block.proj(torch.from_numpy(np.concatenate(heads, axis=1))[None])
        wanted = mixed + block.fc2(torch.nn.functional.gelu(block.fc1(block.norm2(mixed))))
        torch.testing.assert_close(block(tokens, bias), wanted)


def test_patches_are_flattened_channel_row_column_and_laid_row_by_row() -> None:
    encoder = RemoteSensingEncoder(preset("tiny"))
    encoder.blocks = torch.nn.ModuleList()
    pixels = torch.randn(1, 10, 96, 96)
    with torch.no_grad():
        token = encoder(pixels)[0, 2, 7]
        patch = pixels[0, :, 16:24, 56:64].reshape(-1)
        torch.testing.assert_close(token, encoder.patch_embed(patch))


def test_a_frame_of_another_size_gets_its_own_bias() -> None:
    model = Gair.untrained("tiny")
    with torch.no_grad():
        assert model.encode_remote_sensing(torch.zeros(1, 10, 64, 160)).shape == (1, 8, 20, 192)
        alone = model.encode_remote_sensing(torch.zeros(1, 10, 96, 96))
    assert alone.shape == (1, 12, 12, 192)


def test_wrong_bands_and_sides_are_refused() -> None:
    model = Gair.untrained("tiny")
    with pytest.raises(
        ModelError, match=r"shape \(1, 12, 96, 96\); expected \(any, 10, any, any\)"
    ):
        model.encode_remote_sensing(torch.zeros(1, 12, 96, 96))
    with pytest.raises(ModelError, match="100 x 96: sides must be multiples of 8"):
        model.encode_remote_sensing(torch.zeros(1, 10, 100, 96))
