"""Model card that is saved beside the weights."""

from __future__ import annotations

import re

from gair.config import GairConfig
from gair.errors import UsageError
from gair.info import ModelInfo

_CARD = """\
---
library_name: gair-geolocator
license: {license_id}
license_name: "{licence}"
pipeline_tag: image-feature-extraction
tags: [geolocation, remote-sensing, street-view, gair]
---
# {name}

{state}

- **Licence of the weights:** {licence}
- **Source:** {source}
- **Architecture:** GAIR (Liu et al., arXiv 2503.16683): {street_view};
  {remote_sensing}, bands
  {bands}; implicit neural localisation (NILI); location encoder with scales {sigmas}.
- **Shared space:** {dim} dimensions, compared by cosine.
{stored}
```python
from gair import Gair

model = Gair.from_pretrained("path/to/this/folder")
```
"""


_SECTION = "## "
"""Begins what follows the card's own text, which has no heading of this level."""
_HALF = """\
- **Stored as:** float16, but for the frequencies of the location encoder; loaded as float32.
"""


def model_card(config: GairConfig, info: ModelInfo, *, half: bool = False, about: str = "") -> str:
    """The card as Markdown with the hub's metadata block.

    Args:
        config: of the model.
        info: of the model.
        half: whether the weights beside it are float16.
        about: sections to end with, from a heading ``## ...`` on.
    """
    if about and not about.startswith(_SECTION):
        start = about.splitlines()[0]
        raise UsageError(
            f"about begins with {start!r}: begin with a heading, such as '## Training'"
        )
    trained = "Trained weights."
    untrained = "**Untrained: the weights are random and every result is meaningless.**"
    hub_ids = {"CC BY-NC 4.0": "cc-by-nc-4.0", "Apache-2.0": "apache-2.0"}
    card = _CARD.format(
        name=info.name,
        licence=info.licence,
        license_id=hub_ids.get(info.licence, "other"),
        state=trained if info.trained else untrained,
        source=info.source,
        dim=config.dim,
        street_view=_street_view(config),
        remote_sensing=_remote_sensing(config),
        bands=", ".join(config.rs_bands),
        sigmas=", ".join(f"{s:g}" for s in config.location_sigmas),
        stored=_HALF if half else "",
    )
    return f"{card}\n{about.strip()}\n" if about else card


def _street_view(config: GairConfig) -> str:
    mirrored = ",\n  averaged over a photo and its mirror image" if config.sv_mirrored else ""
    return _photo_tower(config) + mirrored


def _photo_tower(config: GairConfig) -> str:
    if config.stem == "conv":
        towers = _convolutions(config.sv_channels, config.sv_residuals, config.sv_depth)
        reader = (
            f",\n  strips read once more by {config.sv_hidden:,} units" if config.sv_hidden else ""
        )
        return f"street-view {towers}{reader}"
    return f"street-view ViT with {config.sv_depth} blocks of\n  width {config.sv_width}"


def _remote_sensing(config: GairConfig) -> str:
    blur = f",\n  averaged by a Gaussian of {config.rs_blur:g} tokens" if config.rs_blur else ""
    return _frame_tower(config) + blur


def _frame_tower(config: GairConfig) -> str:
    if config.stem == "conv":
        towers = _convolutions(config.rs_channels, config.rs_residuals, config.rs_depth)
        sides = ", ".join(map(str, config.rs_windows))
        windows = f" and,\n  by {config.rs_hidden:,} units, windows of {sides} tokens"
        return f"remote-sensing {towers} with 2D-ALiBi{windows if config.rs_windows else ''}"
    return f"remote-sensing ViT with 2D-ALiBi, {config.rs_depth} blocks of width {config.dim}"


def _convolutions(channels: tuple[int, ...], residuals: tuple[int, ...], blocks: int) -> str:
    widths, counts = (", ".join(map(str, numbers)) for numbers in (channels, residuals))
    return (
        f"convolutions of widths {widths},\n"
        f"  with {counts} residual blocks and {blocks} transformer blocks"
    )


def sections_of(card: str) -> str:
    """The part of a card that was its ``about``; "" if it has none."""
    heading = re.search(rf"^{_SECTION}", card, re.MULTILINE)
    return card[heading.start() :] if heading else ""
