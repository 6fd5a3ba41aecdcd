"""The player's files joined: one script, one stylesheet, and a page of its own around a trace.

The player (`assets/player/`, `assets/style.css`) is plain scripts without a build step. They share one scope,
and this module alone knows their order.
"""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[2] / "assets"

#: The scripts in the order in which they are joined: data first, then drawing, then what holds them together.
SCRIPTS = (
    "decode.js",
    "stats.js",
    "colours.js",
    "compositor.js",
    "words.js",
    "dom.js",
    "state.js",
    "theme.js",
    "cells.js",
    "layout.js",
    "places.js",
    "sheet.js",
    "card.js",
    "wall.js",
    "transport.js",
    "bar.js",
    "habits.js",
    "hello.js",
    "heatmap.js",
    "timeline.js",
    "inspector.js",
    "focus.js",
    "store.js",
    "files.js",
    "shelf.js",
    "keys.js",
    "clock.js",
    "actions.js",
    "incoming.js",
    "player.js",
    "door.js",
)


def script() -> str:
    """The player as one script: it defines `DGemmaPlayer` and nothing else."""
    parts = [(ASSETS / "player" / name).read_text(encoding="utf-8").strip() for name in SCRIPTS]
    return '(() => {\n"use strict";\n\n' + "\n\n".join(parts) + "\n})();\n"


def style() -> str:
    """The stylesheet with its fonts inside."""

    def embed(match: re.Match[str]) -> str:
        data = base64.b64encode((ASSETS / match[1]).read_bytes()).decode("ascii")
        return f"url(data:font/woff2;base64,{data})"

    return re.sub(r"url\((fonts/[a-z]+\.woff2)\)", embed, (ASSETS / "style.css").read_text(encoding="utf-8"))


def standalone(trace: bytes, title: str) -> str:
    """One HTML file that replays `trace` (the bytes of a trace file) anywhere, with no network."""
    page = (ASSETS / "standalone.html").read_text(encoding="utf-8")
    fills = {
        "title": html.escape(title),
        # In a script or style element only its own end tag ends it; base64 holds none.
        "style": style().replace("</", "<\\/"),
        "script": script().replace("</", "<\\/"),
        "trace": base64.b64encode(trace).decode("ascii"),
    }
    return re.sub(r"\{\{(title|style|script|trace)\}\}", lambda match: fills[match[1]], page)
