"""The look of Gradio's own controls: colours, sizes and faces as theme variables. The rest is in `page.css`.

The same colours stand as CSS variables in `assets/style.css`, for the player; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping

from gradio import themes

LIGHT: Mapping[str, str] = {
    "table": "#eceef0",
    "paper": "#ffffff",
    "sunk": "#e3e6e9",
    "rule": "#d6dade",
    "edge": "#7f8892",
    "ink": "#12203a",
    "ink-2": "#4c5661",
    "ink-3": "#5d6771",
    "accent": "#c2390f",
    "on-accent": "#ffffff",
    "accent-soft": "#fbe9e2",
}
DARK: Mapping[str, str] = {
    "table": "#0f1113",
    "paper": "#191c1f",
    "sunk": "#24282c",
    "rule": "#2c3136",
    "edge": "#737b83",
    "ink": "#f1eee3",
    "ink-2": "#b1b7bc",
    "ink-3": "#939ba2",
    "accent": "#f58550",
    "on-accent": "#1d0c05",
    "accent-soft": "#3a2017",
}

#: Which of Gradio's variables takes which colour.
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "table": (
        "body_background_fill",
        "background_fill_secondary",
        "block_background_fill",
        "block_label_background_fill",
        "panel_background_fill",
    ),
    "paper": (
        "background_fill_primary",
        "input_background_fill",
        "button_secondary_background_fill",
        "button_cancel_background_fill",
        "error_background_fill",
    ),
    "sunk": (
        "button_secondary_background_fill_hover",
        "button_cancel_background_fill_hover",
        "checkbox_label_background_fill",
        "code_background_fill",
    ),
    "rule": ("border_color_primary", "block_border_color", "panel_border_color", "table_border_color"),
    "edge": ("input_border_color", "button_secondary_border_color", "checkbox_border_color"),
    "ink": (
        "body_text_color",
        "block_title_text_color",
        "block_label_text_color",
        "accordion_text_color",
        "button_secondary_text_color",
        "button_cancel_text_color",
        "button_cancel_border_color",
        "error_text_color",
    ),
    "ink-2": ("body_text_color_subdued", "slider_color", "checkbox_label_text_color"),
    "ink-3": ("block_info_text_color", "input_placeholder_color"),
    "accent": (
        "button_primary_background_fill",
        "button_primary_background_fill_hover",
        "button_primary_border_color",
        "border_color_accent",
        "input_border_color_focus",
        "link_text_color",
        "loader_color",
        "error_border_color",
    ),
    "on-accent": ("button_primary_text_color",),
    "accent-soft": ("color_accent_soft",),
}


def theme() -> themes.Base:
    """Gradio's plainest theme in our colours and faces; the faces come with the player's styles."""
    colours = {
        f"{variable}{suffix}": palette[token]
        for token, variables in VARIABLES.items()
        for variable in variables
        for suffix, palette in (("", LIGHT), ("_dark", DARK))
    }
    # Gradio's tick is always white, so a ticked box keeps the light accent.
    ticked = ("checkbox_background_color_selected", "checkbox_border_color_selected")
    colours |= {f"{variable}{suffix}": LIGHT["accent"] for variable in ticked for suffix in ("", "_dark")}
    sizes = themes.sizes
    base = themes.Base(
        font=["DG Sans", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "sans-serif"],
        font_mono=["DG Mono", "ui-monospace", "monospace"],
        radius_size=sizes.radius_sm,
        spacing_size=sizes.spacing_md,
        text_size=sizes.text_md,
    )
    return base.set(
        color_accent=LIGHT["accent"],
        layout_gap="16px",
        form_gap_width="0px",
        block_border_width="0px",
        block_padding="0px",
        block_radius="0px",
        block_shadow="none",
        block_title_text_size="13px",
        block_title_text_weight="600",
        block_info_text_size="12px",
        input_border_width="1px",
        input_radius="6px",
        input_shadow="none",
        input_shadow_focus="0 0 0 2px var(--color-accent)",
        button_large_radius="6px",
        button_medium_radius="6px",
        button_small_radius="6px",
        button_large_padding="8px 16px",
        button_large_text_weight="600",
        button_primary_shadow="none",
        button_secondary_shadow="none",
        **colours,
    )


def variables() -> str:
    """The colours as CSS variables for `page.css`: light ones, and dark ones where Gradio says dark."""
    sides = ((":root", LIGHT), ("body.dark", DARK))
    return "\n".join(
        f"{selector} {{ {' '.join(f'--page-{token}: {colour};' for token, colour in palette.items())} }}"
        for selector, palette in sides
    )
