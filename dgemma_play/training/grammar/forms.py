"""All forms with their weights, and the draw of an example."""

from __future__ import annotations

import random
from collections.abc import Callable

from dgemma_play.training.grammar import blanks, longforms, shortforms, standins
from dgemma_play.training.grammar.example import Example

# Each form's generator and its weight among the examples.
FORMS: dict[str, tuple[Callable[[random.Random], Example], float]] = {
    "story": (longforms.story, 0.34),
    "long story": (longforms.long_story, 0.06),
    "haiku": (longforms.haiku, 0.32),
    "couplet": (longforms.couplet, 0.12),
    "poem": (longforms.poem, 0.13),
    "greeting": (shortforms.greeting, 0.18),
    "name": (shortforms.name, 0.11),
    "opening": (shortforms.opening, 0.04),
    "dialogue": (shortforms.dialogue, 0.15),
    "advice": (shortforms.advice, 0.03),
    "list": (shortforms.items, 0.03),
    "recipe": (shortforms.recipe, 0.03),
    "riddle": (shortforms.riddle, 0.03),
    "chat": (shortforms.chat, 0.09),
    "blank": (blanks.blank, 0.23),
    "code": (shortforms.code, 0.20),
}


def sample(rng: random.Random, form: str | None = None, stand_ins: bool = True) -> Example:
    """One example, of a form or of a form drawn by its weight; see `standins`."""
    if form is None:
        form = rng.choices(tuple(FORMS), [weight for _, weight in FORMS.values()])[0]
    example = FORMS[form][0](rng)
    return standins.stand_in(rng, example) if stand_ins else example
