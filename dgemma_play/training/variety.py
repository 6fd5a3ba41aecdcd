"""How much drafts differ: plots that their stories tell, and phrases that drafts of one prompt share."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace

from dgemma_play.training import measures, probes, readability
from dgemma_play.training.grammar import plots, tables

_TELLINGS = 250  # of each plot, whose runs of three words tell it from the others
_DRAFTS = 8  # of each prompt, as many as a wall shows

Runs = set[tuple[str, ...]]


def runs(text: str) -> Runs:
    """Its runs of three words."""
    spoken = readability.words(text)
    return set(zip(spoken, spoken[1:], spoken[2:], strict=False))


def runs_of_plots(seed: int = 5) -> dict[str, Runs]:
    """Runs of three words in any of many tellings of each plot, by the plot's heading."""
    rng = random.Random(seed)
    found: dict[str, Runs] = {plot: set() for plot in tables.read("plots")}
    for plot, told in found.items():
        for _ in range(_TELLINGS):
            told |= runs(" ".join(plots.tell(rng, replace(plots.draw_cast(rng), plot=plot))))
    return found


def plot_of(text: str, known: Mapping[str, Runs]) -> str:
    """The plot that a story tells: the one that has most of its runs."""
    return max(known, key=lambda plot: len(runs(text) & known[plot]))


def equally_frequent(drawn: Iterable[Hashable]) -> float:
    """How many kinds would be spread as evenly, if all were equally frequent: e to the entropy, 1 or more."""
    counts = Counter(drawn)
    shares = [count / counts.total() for count in counts.values()]
    return math.exp(-sum(share * math.log(share) for share in shares))


def table(write: Callable[[str, int], list[str]]) -> dict[str, dict[str, float]]:
    """Plots of stories about eight heroes, and drafts of ten prompts that share no phrase with one before.

    `write(prompt, drafts)` gives the texts.
    """
    known = runs_of_plots()
    stories = [text for prompt in probes.STORIES for text in write(prompt, _DRAFTS)]
    apart = [len(measures.apart(write(prompt, _DRAFTS))) for prompt in probes.SIDE_BY_SIDE]
    return {
        f"plots of {len(stories)} stories, of {len(known)}": {
            "measured": equally_frequent(plot_of(text, known) for text in stories)
        },
        f"apart of {_DRAFTS * len(apart)} drafts": {"measured": sum(apart)},
    }
