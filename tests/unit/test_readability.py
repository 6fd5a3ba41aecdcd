"""Measures of English that know nothing of the training grammar."""

from __future__ import annotations

import pytest

from dgemma_play.training import readability

STORY = "The fox looked at the moon. Then she went home and put the kettle on the fire."


@pytest.fixture(scope="module")
def model() -> readability.NgramModel:
    return readability.NgramModel.load()


def test_words_are_in_the_dictionary_and_nonsense_is_not() -> None:
    assert readability.dictionary_share(STORY) == 1.0
    assert readability.dictionary_share("The fox glorped the moon.") == pytest.approx(0.8)


def test_a_doubled_word_is_found() -> None:
    assert readability.doubled_share("the the fox") == 0.5
    assert readability.doubled_share(STORY) == 0
    assert readability.has_triple("no no No")
    assert not readability.has_triple("no no yes no")


def test_distinct_2_falls_when_drafts_repeat_each_other() -> None:
    assert readability.distinct(["a b c", "d e f"]) == 1.0
    assert readability.distinct(["a b c", "a b c"]) == 0.5


def test_probabilities_are_probabilities(model: readability.NgramModel) -> None:
    assert sum(model.weights) == pytest.approx(1)
    chances = model.chances(STORY)
    assert ((chances > 0) & (chances <= 1)).all()


def test_held_out_text_is_far_likelier_than_its_words_in_random_order(model: readability.NgramModel) -> None:
    texts = readability.held_out()
    assert 3 * model.perplexity(texts) < model.perplexity([readability.shuffled(text) for text in texts])
