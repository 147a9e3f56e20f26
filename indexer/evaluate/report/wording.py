"""What the ways to answer are called, in a report and in its figures."""

from __future__ import annotations

from collections.abc import Mapping

SHORT: Mapping[str, str] = {
    "answer": "this index",
    "refined": "refined between cells",
    "imagery": "imagery alone",
    "location": "location alone",
    "nili": "NILI",
    "bilinear": "bilinear",
    "mean": "global mean",
    "density": "where photos are taken",
    "blind": "a random cell",
}
"""In legends and tables."""

ABOUT: Mapping[str, str] = {
    "answer": "What a search answers.",
    "refined": "The best guess is moved to the best point around it; only its distance changes.",
    "imagery": "Cells are ranked by the imagery's embedding only.",
    "location": "Cells are ranked by the embedding of their coordinates only.",
    "nili": "The imagery is read at each cell by the model's own interpolation (NILI).",
    "bilinear": "The imagery's raw tokens are interpolated at each cell, without the model's NILI.",
    "mean": "Each cell has the mean of the raw tokens of the image frame around it.",
    "density": "The photo is not looked at: every answer is where most calibration photos are.",
    "blind": "The photo is not looked at: any cell is as likely as any other.",
}
"""A sentence each."""

OFFSET_MODES: Mapping[str, str] = {
    "nili": "NILI",
    "frame": "NILI, mean of the frame",
    "bilinear": "raw tokens, bilinear",
    "bicubic": "raw tokens, bicubic",
    "mean": "raw tokens, mean of the frame",
}
"""The ways to read imagery in the offset test."""
