"""The sections of a report about probabilities: calibration, selection, photos from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.evaluate.report.markup import (
    decimals,
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
    found = report["calibration"]
    if not found["measured"]:
        return section(title, paragraph(text(found["why"]).capitalize() + ".", "why"))
    return section(
        title,
        paragraph(
            f"The index was calibrated on {plain(found['photos'])} other photos. Of the photos of "
            f"this report {plain(found['photos_judged'])} could be judged, and "
            f"{plain(found['photos_inside'])} of them were taken in a cell of the index.",
            "why",
        ),
        *_regions(found),
        *_confidence(found, figure),
        *_likelihood(found),
    )


def _regions(found: Report) -> list[str]:
    rows = [
        [
            f"{100 * r['level']:g} % region",
            number(r["covered"], percent),
            number(r["covered_inside"], percent),
            shown(r["median_km2"], square_km),
        ]
        for r in found["regions"]
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


def _confidence(found: Report, figure: str) -> list[str]:
    rows = []
    for r, data in found["confidence_within"].items():
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


def _likelihood(found: Report) -> list[str]:
    rows = [
        [text(name), number(found["nll"][key], plain)]
        for key, name in NLL_ROWS
        if key in found["nll"]
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
    found = report["calibration"]
    if not found["measured"]:
        return ""
    rows = [
        [
            f"farther than {radius(float(r))}",
            number(data["aurc"], decimals),
            f'<data value="{data["aurc_at_random"]}">{decimals(data["aurc_at_random"])}</data>',
            f'<data value="{data["aurc_at_best"]}">{decimals(data["aurc_at_best"])}</data>',
        ]
        for r, data in found["selection"].items()
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
    found = report["out_of_index"]
    title = "Are photos from elsewhere noticed?"
    if not found["measured"]:
        return section(title, paragraph(text(found["why"]).capitalize() + ".", "why"))
    rows = [
        [
            "AUROC: a photo of the index looks more familiar than one from elsewhere",
            number(found["auroc"], decimals),
        ],
        ["photos from elsewhere that are refused", number(found["elsewhere_noticed"], percent)],
        ["photos of the index that are refused by mistake", number(found["own_refused"], percent)],
    ]
    unreadable = found["unreadable"]
    more = f" {plain(unreadable)} more could not be read." if unreadable else ""
    return section(
        title,
        paragraph(
            f"{plain(found['photos_elsewhere'])} photos from elsewhere beside "
            f"{plain(found['photos_inside'])} of the index.{more} An AUROC of 0.5 is a coin's, 1 "
            "parts them perfectly. A photo is refused where fewer than "
            f"{percent(found['level'])} of the calibration photos look as strange.",
            "why",
        ),
        table(["", "measured"], rows),
    )


def offset_section(report: Report, figure: str) -> str:
    """Whether a photo matches its own place better than those around."""
    found = report["offset"]
    title = "Does a photo match its own place best?"
    if not found["measured"]:
        return section(title, paragraph(text(found["why"]).capitalize() + ".", "why"))
    return section(
        title,
        paragraph(
            f"The similarity (cosine) of {plain(found['photos'])} photos with the imagery, read at "
            "their true place and at points around it. A representation that knows the place falls "
            "from the first metres on; one that knows only the image frame around it is flat.",
            "why",
        ),
        figure,
    )
