"""All forms with their weights, and the draw of an example."""

from __future__ import annotations

import random
from collections.abc import Callable

from dgemma_play.training.grammar import (
    blanks,
    cards,
    coding,
    longforms,
    matters,
    naming,
    poems,
    shortforms,
    standins,
    talk,
)
from dgemma_play.training.grammar.example import Example

# Each form's generator and its weight among the examples.
FORMS: dict[str, tuple[Callable[[random.Random], Example], float]] = {
    "story": (longforms.story, 0.36),
    "long story": (longforms.long_story, 0.05),
    "haiku": (poems.haiku, 0.20),
    "couplet": (poems.couplet, 0.11),
    "poem": (poems.poem, 0.13),
    "greeting": (cards.greeting, 0.20),
    "name": (naming.name, 0.09),
    "opening": (shortforms.opening, 0.05),
    "dialogue": (shortforms.dialogue, 0.07),
    "advice": (shortforms.advice, 0.02),
    "tips": (matters.tips, 0.05),
    "list": (matters.items, 0.035),
    "recipe": (matters.recipe, 0.04),
    "riddle": (talk.riddle, 0.025),
    "joke": (talk.joke, 0.02),
    "chat": (talk.chat, 0.17),
    "blank": (blanks.blank, 0.22),
    "code": (coding.code, 0.19),
}


def sample(rng: random.Random, form: str | None = None, stand_ins: bool = True) -> Example:
    """One example, of a form or of a form drawn by its weight; see `standins`."""
    if form is None:
        form = rng.choices(tuple(FORMS), [weight for _, weight in FORMS.values()])[0]
    example = FORMS[form][0](rng)
    return standins.stand_in(rng, example) if stand_ins else example
