"""The import of timm: beside any torchvision, and leaving one that works alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

WITH_OURS = """
from gair.encoders.street_view import import_timm
timm = import_timm()
from timm.models.vision_transformer import VisionTransformer
assert import_timm() is timm
"""
# A torchvision whose operators load must not be touched: simulate one by declaring them first.
WITH_A_MATCHING_PAIR = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
import gair.encoders.street_view
def never():
    raise AssertionError("mended what was not broken")
gair.encoders.street_view._declare_missing_operators = never
gair.encoders.street_view.import_timm()
"""


def test_timm_imports_in_a_fresh_process() -> None:
    subprocess.run([sys.executable, "-c", WITH_OURS], check=True)


def test_a_working_torchvision_is_left_alone() -> None:
    subprocess.run([sys.executable, "-c", WITH_A_MATCHING_PAIR], check=True)
