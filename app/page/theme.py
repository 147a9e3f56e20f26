"""Colours and fonts of Gradio's own parts; ``static/page.css`` builds on its variables."""

from __future__ import annotations

import gradio as gr

from app.page.page import HEAD

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")

THEME_HEAD = f"""\
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
{HEAD}"""


def theme() -> gr.themes.Base:
    """Teal on slate, light and dark, with fonts that every system has: none is downloaded."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=[gr.themes.Font(name) for name in SANS],
        font_mono=[gr.themes.Font(name) for name in MONO],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        border_color_primary_dark="*neutral_800",
        slider_color="*primary_600",
        slider_color_dark="*primary_500",
    )
