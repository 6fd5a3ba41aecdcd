"""One training example."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = 2  # words of a thing that an answer names, at most


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


def shared(prompt: str, answer: str, named: str) -> tuple[str, ...]:
    """The words of a name that a prompt and its answer have in common, but for articles."""
    found = [word for word in named.split() if word not in ("a", "an", "the", "that")]
    return tuple(word for word in found if holds(prompt, word) and holds(answer, word))


def renamed(thing: str) -> str:
    """How an answer names a thing: "my taxes" are "your taxes" there; one of many words is just "that"."""
    return re.sub(r"^my ", "your ", thing) if thing.count(" ") < _NAMED else "that"
