"""What no door lets in: the settings table, the command line, the API and trace files walk this list."""

from __future__ import annotations

from typing import Any

#: Setting, value, and how the refusal begins.
BAD_SETTINGS: list[tuple[str, Any, str]] = [
    ("drafts", 0, "drafts must be"),
    ("drafts", 33, "drafts must be"),
    ("drafts", 2.5, "drafts must be"),
    ("steps", 0, "steps must be"),
    ("steps", 129, "steps must be"),
    ("steps", True, "steps must be"),
    ("steps", "many", "steps must be"),
    ("t_max", float("nan"), "t_max must be"),
    ("t_max", float("inf"), "t_max must be"),
    ("t_max", 0, "t_max must be"),
    ("t_min", -0.1, "t_min must be"),
    ("t_min", 6, "t_min must be"),
    ("entropy_bound", 0, "entropy_bound must be"),
    ("entropy_bound", float("nan"), "entropy_bound must be"),
    ("stability_threshold", -1, "stability_threshold must be"),
    ("stability_threshold", 1.5, "stability_threshold must be"),
    ("confidence_threshold", 21, "confidence_threshold must be"),
    ("max_new_tokens", 0, "max_new_tokens must be"),
    ("max_new_tokens", 8193, "max_new_tokens must be"),
    ("seed", -1, "seed must be"),
    ("seed", 2**32, "seed must be"),
    ("seed", "0; DROP TABLE", "seed must be"),
    ("seed", [1, 2], "seed must be"),
]
#: Prompt, and how the refusal begins.
BAD_PROMPTS: list[tuple[str, str]] = [
    ("", "The prompt is empty"),
    (" \n\t", "The prompt is empty"),
    ("a" * 100_001, "The prompt has 100,001 characters"),
]
