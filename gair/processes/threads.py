"""Threads of torch: how many compute one product, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

NARROW = 512
"""Below this width, threads of one small product wait for each other longer than they compute: two
take twice the processor time of one and are no faster (``bench_app.py``)."""


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads for a while; 0 leaves it as it is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def threads_beside_others(width: int) -> int:
    """For :func:`torch_threads` where other work waits for the cores: 1 for a narrow model, else 0.

    Args:
        width: of the model's shared space.
    """
    return 1 if width < NARROW else 0
