"""How much drafts differ is told from their texts alone."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from dgemma_play.training import probes, variety
from dgemma_play.training.grammar import plots


def told(rng: random.Random, plot: str) -> str:
    return " ".join(plots.tell(rng, replace(plots.draw_cast(rng), plot=plot)))


def test_a_story_is_known_by_its_plot() -> None:
    known, rng = variety.runs_of_plots(), random.Random(1)
    for plot in known:
        assert {variety.plot_of(told(rng, plot), known) for _ in range(5)} == {plot}


def test_kinds_count_by_how_evenly_they_are_spread() -> None:
    assert variety.equally_frequent("abcabc") == pytest.approx(3)
    assert variety.equally_frequent("aaaa") == pytest.approx(1)
    assert variety.equally_frequent("aaab") == pytest.approx(math.exp(0.5623), rel=1e-3)


def test_a_writer_of_one_text_has_one_plot_and_a_draft_of_each_prompt_apart() -> None:
    text = told(random.Random(2), next(iter(variety.runs_of_plots())))
    plots_row, apart_row = variety.table(lambda prompt, drafts: [text] * drafts).values()
    assert plots_row["measured"] == pytest.approx(1)
    assert apart_row["measured"] == len(probes.SIDE_BY_SIDE)
