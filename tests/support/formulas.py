"""Slow, obvious loops of the formulas, to hold the fast code against."""

from __future__ import annotations

import math

import numpy as np

from gair.arrays import Floats


def nili_loop(tokens: Floats, weight: Floats, bias: Floats, x: float, y: float) -> Floats:
    """NILI at one point, written from LIIF's definition: (h, w, D), frame coordinates to (D,)."""
    height, width, dim = tokens.shape
    answers, areas = [], []
    for side_y in (-1, 1):
        for side_x in (-1, 1):
            near_x = min(max(x + side_x / width + 1e-6, -1 + 1e-6), 1 - 1e-6)
            near_y = min(max(y + side_y / height + 1e-6, -1 + 1e-6), 1 - 1e-6)
            column = round(((near_x + 1) * width - 1) / 2)
            row = round(((near_y + 1) * height - 1) / 2)
            offset_x = (x - (-1 + (2 * column + 1) / width)) * width
            offset_y = (y - (-1 + (2 * row + 1) / height)) * height
            seen = []
            for channel in range(dim):
                for dy in (-1, 0, 1):
                    for dx in (-1, 0, 1):
                        inside = 0 <= row + dy < height and 0 <= column + dx < width
                        seen.append(tokens[row + dy, column + dx, channel] if inside else 0.0)
            answers.append(weight @ np.array([*seen, offset_x, offset_y]) + bias)
            areas.append(abs(offset_x * offset_y) + 1e-9)
    opposite = [areas[3], areas[2], areas[1], areas[0]]
    total = sum(opposite)
    return np.asarray(sum(a / total * answer for a, answer in zip(opposite, answers, strict=True)))


def equal_earth_scalar(lon_deg: float, lat_deg: float) -> tuple[float, float]:
    """The Equal Earth projection of one point, scaled as the release does."""
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    lon, lat = math.radians(lon_deg), math.radians(lat_deg)
    t = math.asin(math.sqrt(3) / 2 * math.sin(lat))
    slope = 9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1
    x = 2 * math.sqrt(3) * lon * math.cos(t) / (3 * slope)
    y = a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t
    return x * 66.50336 / 180, y * 66.50336 / 180


def alibi_attention_loop(q: Floats, k: Floats, v: Floats, slope: float, columns: int) -> Floats:
    """One head of attention with the 2D-ALiBi bias, token by token: (N, d) each to (N, d)."""
    out = np.zeros_like(v)
    for i in range(len(q)):
        scores = np.zeros(len(k))
        for j in range(len(k)):
            rows_apart = i // columns - j // columns
            columns_apart = i % columns - j % columns
            distance = math.hypot(rows_apart, columns_apart)
            scores[j] = q[i] @ k[j] / math.sqrt(q.shape[1]) - slope * distance
        share = np.exp(scores - scores.max())
        out[i] = (share / share.sum()) @ v
    return out
