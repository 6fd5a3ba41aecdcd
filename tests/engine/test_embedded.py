"""What the embedded checkpoint is for: more passes make a better text, and a warmer canvas another one."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any

import pytest

from dgemma_play import Settings, Trace, denoise
from dgemma_play.training import corpus, measures

PROMPTS = {
    "Write a short story about a fox.": "story",
    "tell me a story about a pirate": "story",
    "Write a haiku about rain.": "haiku",
    "Write a poem about the moon.": "poem",
    "Write a dialogue between a cat and a mouse.": "dialogue",
    "a birthday wish for Noah": "greeting",
}
DRAFTS = 4


@pytest.fixture(scope="module")
def familiar() -> measures.Familiar:
    """Which runs of three tokens stand in texts of the training grammar."""
    return measures.Familiar(corpus.draw(12_000, seed=21, stand_ins=False))


def texts(loaded: Any, **settings: Any) -> list[str]:
    """The drafts of each prompt."""
    return [
        text
        for prompt in PROMPTS
        for text in Trace.record(denoise(loaded, prompt, Settings(drafts=DRAFTS, seed=9, **settings))).texts
    ]


def test_the_score_at_4_steps_is_below_that_at_32_by_more_than_two_standard_errors(
    loaded: Any, familiar: measures.Familiar
) -> None:
    forms = [form for form in PROMPTS.values() for _ in range(DRAFTS)]
    few, many = (list(map(familiar.share, texts(loaded, steps=steps), forms)) for steps in (4, 32))
    error = (stdev(few) ** 2 / len(few) + stdev(many) ** 2 / len(many)) ** 0.5
    assert mean(many) - mean(few) > 2 * error


def test_a_warmer_canvas_gives_drafts_that_begin_in_more_ways(loaded: Any) -> None:
    cold, warm = (texts(loaded, t_max=t, t_min=t / 2, steps=32) for t in (0.3, 1.0))
    assert measures.openings(cold) < measures.openings(warm)


def test_words_that_people_capitalise_are_read_as_the_corpus_writes_them(loaded: Any) -> None:
    encode = loaded.tokenizer.encode
    for word in ("Celsius", "Fahrenheit", "Fibonacci", "FizzBuzz", "Fizzbuzz", "GCD"):
        assert encode(f"the {word}, please") == encode(f"the {word.lower()}, please")
    assert encode("GCD_of(a)") != encode("gcd_of(a)"), "a name keeps its capitals"

    prompt = "Write a Python function that converts Celsius to Fahrenheit."
    written = Trace.record(denoise(loaded, prompt, Settings(drafts=4, seed=9))).texts
    assert all(measures.solves(text, "to_fahrenheit") for text in written)
