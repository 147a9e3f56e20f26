"""Sections of a report about trust: calibration, selection, foreign photos, coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.evaluate.report.markup import (
    decimals,
    metres,
    number,
    paragraph,
    percent,
    plain,
    radius,
    section,
    shown,
    square_km,
    table,
    text,
)

Report = Mapping[str, Any]
NLL_ROWS = (
    ("answer", "this index"),
    ("density", "where photos are usually taken"),
    ("blind", "every cell by its area"),
)


def calibration_section(report: Report, figure: str) -> str:
    """Whether probabilities mean what they say."""
    title = "Do the probabilities mean what they say?"
    calibration = report["calibration"]
    if not calibration["measured"]:
        return section(title, paragraph(text(calibration["why"]).capitalize() + ".", "why"))
    return section(
        title,
        paragraph(
            f"The index was calibrated on {plain(calibration['photos'])} other photos. Of the "
            f"photos of this report {plain(calibration['photos_judged'])} could be judged, and "
            f"{plain(calibration['photos_inside'])} of them were taken in a cell of the index.",
            "why",
        ),
        *_regions(calibration),
        *_confidence(calibration, figure),
        *_likelihood(calibration),
    )


def _regions(calibration: Report) -> list[str]:
    rows = [
        [
            f"{100 * r['level']:g} % region",
            number(r["covered"], percent),
            number(r["covered_inside"], percent),
            shown(r["median_km2"], square_km),
        ]
        for r in calibration["regions"]
    ]
    heads = ["region", "holds the truth", "of photos inside<br>the index", "median size"]
    return [
        "<h3>Regions</h3>",
        paragraph(
            "A region of 90 % is the smallest set of cells that should hold the truth nine times "
            "out of ten. The intervals are binomial (Clopper and Pearson, 95 %): a region keeps "
            "its promise if its level lies in or below them."
        ),
        table(heads, rows),
    ]


def _confidence(calibration: Report, figure: str) -> list[str]:
    rows = []
    for r, data in calibration["confidence_within"].items():
        name = f"within {radius(float(r))}"
        if not data["measured"]:
            rows.append([name, text(data["why"])])
            continue
        rows.append(
            [
                name,
                shown(data["said"], percent),
                number(data["right"], percent),
                number(data["ece"], decimals),
                shown(data["ece_by_luck"], decimals),
                number(data["disc_mass_ece"], decimals),
            ]
        )
    heads = [
        "best guess is",
        "said on average",
        "true",
        "ECE",
        "ECE by luck",
        "ECE of the<br>raw mass",
    ]
    return [
        "<h3>Confidence</h3>",
        paragraph(
            "Each answer says how likely its best guess is within a radius. The expected "
            "calibration error (ECE) is how far that is from the share that was right, on average "
            "over ten groups of photos of similar confidence. Even a perfect confidence shows some "
            "error on so few photos: that is <i>ECE by luck</i>, and intervals of the ECE lean "
            "upwards for the same reason. The raw mass is the probability "
            "of the cells within the radius, before it was corrected on calibration photos."
        ),
        table(heads, rows),
        figure,
    ]


def _likelihood(calibration: Report) -> list[str]:
    rows = [
        [text(name), number(calibration["nll"][key], plain)]
        for key, name in NLL_ROWS
        if key in calibration["nll"]
    ]
    return [
        "<h3>Likelihood</h3>",
        paragraph(
            "The negative log-likelihood (NLL, in nats) of the cell that each photo was taken in, "
            "mean over photos inside the index: lower is better, and one nat less means 2.7 times "
            "the probability."
        ),
        table(["probabilities from", "NLL"], rows),
    ]


def selection_section(report: Report, figure: str) -> str:
    """What is gained by answering only when confident."""
    calibration = report["calibration"]
    if not calibration["measured"]:
        return ""
    rows = [
        [
            f"farther than {radius(float(r))}",
            number(data["aurc"], decimals),
            f'<data value="{data["aurc_at_random"]}">{decimals(data["aurc_at_random"])}</data>',
            f'<data value="{data["aurc_at_best"]}">{decimals(data["aurc_at_best"])}</data>',
        ]
        for r, data in calibration["selection"].items()
    ]
    heads = ["wrong means", "AURC", "if confidence<br>said nothing", "if it knew all"]
    return section(
        "What if only confident answers are given?",
        paragraph(
            "Photos are answered from the most confident down; the curve shows how many of the "
            "answers given so far are wrong. The area under it (AURC) is the mean risk over all "
            "shares of photos that may be answered: lower is better. Failed photos come last and "
            "count as wrong.",
            "why",
        ),
        table(heads, rows),
        figure,
    )


def elsewhere_section(report: Report) -> str:
    """Whether photos from elsewhere are noticed."""
    outside = report["out_of_index"]
    title = "Are photos from elsewhere noticed?"
    if not outside["measured"]:
        return section(title, paragraph(text(outside["why"]).capitalize() + ".", "why"))
    rows = [
        [
            "AUROC: a photo of the index looks more familiar than one from elsewhere",
            number(outside["auroc"], decimals),
        ],
        ["photos from elsewhere that are refused", number(outside["elsewhere_noticed"], percent)],
        [
            "photos of the index that are refused by mistake",
            number(outside["own_refused"], percent),
        ],
    ]
    unreadable = outside["unreadable"]
    more = f" {plain(unreadable)} more could not be read." if unreadable else ""
    return section(
        title,
        paragraph(
            f"{plain(outside['photos_elsewhere'])} photos from elsewhere beside "
            f"{plain(outside['photos_inside'])} of the index.{more} An AUROC of 0.5 is a coin's, 1 "
            "parts them perfectly. A photo is refused where fewer than "
            f"{percent(outside['level'])} of the calibration photos look as strange.",
            "why",
        ),
        table(["", "measured"], rows),
    )


def offset_section(report: Report, figure: str) -> str:
    """Whether a photo matches its own place better than those around."""
    offset = report["offset"]
    title = "Does a photo match its own place best?"
    if not offset["measured"]:
        return section(title, paragraph(text(offset["why"]).capitalize() + ".", "why"))
    return section(
        title,
        paragraph(
            f"The similarity (cosine) of {plain(offset['photos'])} photos with the imagery, read "
            "at their true place and at points around it. A representation that knows the place "
            "falls from the first metres on; one that knows only the frame around it is flat.",
            "why",
        ),
        figure,
    )


def noise_section(report: Report) -> str:
    """What noise on the cells' coordinates costs."""
    noise = report["noise"]
    title = "How exact must coordinates be?"
    if not noise["measured"]:
        return section(title, paragraph(text(noise["why"]).capitalize() + ".", "why"))
    rows = [
        [
            metres(row["noise_m"]),
            f'<data value="{row["recall"]}">{percent(row["recall"])}</data>',
            percent(row["recall_standard_error"]),
            "" if row["score"] is None else decimals(row["score"]),
        ]
        for row in noise["rows"]
    ]
    k, within_m = noise["rows"][0]["k"], noise["rows"][0]["within_m"]
    heads = [
        "noise on the cells",
        f"one of {k} cells<br>within {radius(within_m)}",
        "standard error",
        "cosine with<br>the nearest cell",
    ]
    return section(
        title,
        paragraph(
            f"The {plain(noise['photos'])} photos, ranked by the imagery alone, where every cell "
            "is read at a place displaced by Gaussian noise, of that standard deviation along each "
            "axis, while it keeps its coordinates. That is what a shift between imagery and map "
            "costs.",
            "why",
        ),
        table(heads, rows),
    )
