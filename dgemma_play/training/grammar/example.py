"""One training example."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """One training example. `asked` are words of the prompt that the answer must hold."""

    form: str
    prompt: str
    answer: str
    asked: tuple[str, ...] = ()


def holds(text: str, word: str) -> bool:
    """Whether a text holds a word as a whole, in any case."""
    return re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) is not None
