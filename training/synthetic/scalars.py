"""Hashes one at a time, for compiled loops: the same words as :mod:`~training.synthetic.noise`."""

from __future__ import annotations

import numpy as np

from training.synthetic.compiled import compiled

START = np.uint32(0x9E3779B9)
"""Before the first key."""


@compiled
def mix(word: np.uint32, key: int | np.uint32) -> np.uint32:
    """One more key: ``mix(mix(START, a), b)`` is ``hashed(a, b)``."""
    # Products of 32-bit numbers have 64 bits in compiled loops, so each is cut.
    word = np.uint32(word ^ np.uint32(key))
    word = np.uint32(word * np.uint32(0x85EBCA6B))
    word = np.uint32(word ^ (word >> np.uint32(13)))
    word = np.uint32(word * np.uint32(0xC2B2AE35))
    return np.uint32(word ^ (word >> np.uint32(16)))


@compiled
def unit(word: np.uint32, stream: int) -> np.float32:
    """A number in [0, 1): ``uniform(word, stream)``."""
    if stream:
        word = mix(mix(START, word), stream + 1)
    return np.float32(word >> np.uint32(8)) * np.float32(2.0**-24)
