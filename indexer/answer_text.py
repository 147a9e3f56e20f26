"""Answers as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.answer import Answer


def answer_lines(answer: Answer) -> list[str]:
    """An answer as lines for a terminal."""
    name = ", ".join(answer.photos) or answer.photo
    likely = "  likely" if answer.calibrated else ""
    lines = [
        f"{name}: {len(answer.candidates)} places of {answer.cells_searched:,} cells in "
        f"{answer.index}",
        f"  rank{likely}   latitude   longitude   score      rs  location  cell             merged"
        "  spread",
    ]
    for c in answer.candidates:
        lon_deg, lat_deg = c.refined_lonlat_deg or (c.lon_deg, c.lat_deg)
        probability = "" if c.probability is None else f"  {c.probability:6.1%}"
        lines.append(
            f"  {c.rank:4d}{probability}  {lat_deg:9.5f}  {lon_deg:10.5f}  {c.score:6.3f}  "
            f"{c.rs_score:6.3f}    {c.location_score:6.3f}  {c.h3_cell}  {c.merged_cells:6d}  "
            f"{c.spread_m:4.0f} m"
        )
    lines += _belief_lines(answer)
    if answer.photo_gps_lonlat_deg is not None:
        lon_deg, lat_deg = answer.photo_gps_lonlat_deg
        lines.append(f"  the photo carries coordinates ({lat_deg:.5f}, {lon_deg:.5f}); not used")
    lines += [f"  note: {warning}" for warning in answer.warnings]
    lines.append(f"  model {answer.model}, licence {answer.model_licence}; {answer.attribution}")
    return lines


def _belief_lines(answer: Answer) -> list[str]:
    """How far to believe it, where that is known."""
    if not answer.calibrated:
        return []
    near = ", ".join(f"{c.radius_m:,.0f} m {c.probability:.0%}" for c in answer.confidence)
    lines = [f"  likely = within {answer.merge_radius_m:.0f} m; the best guess within {near}"]
    lines += [
        f"  {region['level']:.0%} region: {region['km2']:,.2f} km2 in {region['cells']:,} cells"
        for region in answer.regions
    ]
    if answer.prior:
        lines.append(f"  prior: {answer.prior}")
    if answer.membership is not None:
        m = answer.membership
        told = "" if m.miss_rate is None else f", {m.miss_rate:.0%} of foreign ones are"
        lines.append(
            f"  {'could be' if m.in_index else 'NOT'} from this index: {m.p_value:.1%} of its "
            f"photos look as strange (under {m.level:.0%} is not taken for one of it{told})"
        )
    return lines
