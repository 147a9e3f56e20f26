"""Dense NILI beside the per-point form, at the size of the release."""

from __future__ import annotations

import torch
from measuring import medians_s, report

from gair.encoders.inr import Nili

POINTS = 2048
WANTED_RATIO = 40


def test_dense_against_per_point() -> None:
    torch.manual_seed(0)
    nili = Nili(768)
    token_map = torch.randn(1, 12, 12, 768)
    xy = torch.rand(1, POINTS, 2) * 2 - 1
    with torch.inference_mode():
        difference = (nili.dense(token_map, xy) - nili.local_ensemble(token_map, xy)).abs().max()
        per_point_s, dense_s = medians_s(
            lambda: nili.local_ensemble(token_map, xy),
            lambda: nili.dense(token_map, xy),
            rounds=15,
        )
    ratio = per_point_s / dense_s
    report(
        f"one frame, {POINTS} points, 768 dimensions",
        f"per point {per_point_s * 1e3:8.1f} ms",
        f"dense     {dense_s * 1e3:8.1f} ms   {ratio:.0f}x faster (wanted {WANTED_RATIO}x)",
        f"largest difference {float(difference):.1e}",
    )
    assert ratio >= WANTED_RATIO
