"""Sentences with a blank: the answer is the whole sentence, so a model learns to carry every other word over.

What it carries must be any word at any place, or it only learns the sentences. So these come from three
sources, and in a part of the everyday ones other words stand in for given ones, fit or not.
"""

from __future__ import annotations

import random
import re
from functools import cache
from itertools import chain

from dgemma_play.training.grammar import longforms, shortforms, tables, words
from dgemma_play.training.grammar.elastic import alternatives, draw_words, fillings, length, with_articles
from dgemma_play.training.grammar.example import Example, holds
from dgemma_play.training.grammar.plots import draw_cast
from dgemma_play.training.grammar.prompts import in_other_words

_BLANKS = (
    *(*["___"] * 12, *["____"] * 10, *["_____"] * 8, *["__"] * 2, *["______"] * 2, "________", "_", "_ _ _"),
    *("[blank]", "(blank)", "[ ]", "( )", "???", "----", "...", ".....", "....", "…", "(...)", "BLANK"),
)
_BARE_SHARE = 0.45  # of the prompts are the sentence alone
_SLOPPY_SHARE = 0.25  # of the prompts begin small, end without a stop, or both
_SWAPPED_SHARE = 0.08  # of the everyday sentences have other words than they should
_LONGER_SHARE = 0.3  # of the everyday sentences are part of a longer one
LONGEST = 20  # tokens of these, at most
_GIVEN = 4  # letters of a word that the answer is asked to hold, at least
_SENTENCE_TOKENS = range(4, 15)  # of sentences from other forms


def blank(rng: random.Random) -> Example:
    """A sentence with a blank, asked for by the sentence alone or in one of many wordings."""
    source = rng.choices((_everyday, _of_a_story, _of_another_form), (0.82, 0.08, 0.1))[0]
    sentence, gap = source(rng)
    asked = re.sub(rf"\b{re.escape(gap)}\b", lambda _: rng.choice(_BLANKS), sentence, count=1)
    if rng.random() < _SLOPPY_SHARE:
        asked = asked[0].lower() + asked[1:] if rng.random() < 0.6 else asked
        asked = asked.removesuffix(".") if rng.random() < 0.6 else asked
    prompt = asked if rng.random() < _BARE_SHARE else in_other_words(rng, "blank", asked)
    given = [
        word for word in re.findall(r"[A-Za-z']+", asked) if len(word) >= _GIVEN and word.lower() != "blank"
    ]
    return Example("blank", prompt, sentence, tuple(given))


def _everyday(rng: random.Random) -> tuple[str, str]:
    """A sentence of `tables/everyday.txt` and the word to leave out, mostly one that was drawn."""
    text, drawn = longer(rng) if rng.random() < _LONGER_SHARE else draw_words(rng, _template(rng))
    others = [word for word in re.findall(r"[A-Za-z']{3,}", text) if word not in drawn]
    gap = rng.choice(others if others and (not drawn or rng.random() < 0.25) else drawn)
    if rng.random() < _SWAPPED_SHARE:
        # Not beside the gap: what stands there says what fits.
        near = re.search(rf"(?:\S+ ){{0,2}}\b{re.escape(gap)}\b(?:\S* \S+){{0,2}}", text)
        kept = near[0] if near else gap
        given = [word for word in re.findall(r"\b[a-z']{3,}\b", text) if not holds(kept, word)]
        for word in rng.sample(given, min(len(given), rng.choice((1, 1, 2, 3)))):
            other = rng.choice(_any_words())
            text = re.sub(rf"\b{re.escape(word)}\b", other, text, count=1) if other != gap else text
    return with_articles(text), gap


def _template(rng: random.Random) -> str:
    statements, others = tables.read("everyday")["sentences"]
    return rng.choice(statements + others)


def longer(rng: random.Random) -> tuple[str, list[str]]:
    """An everyday sentence within or beside others, and the words that were drawn."""
    statements = tables.read("everyday")["sentences"][0]
    while True:
        frame = rng.choice(tables.read("everyday")["longer"][0])
        one, two = (rng.choice(statements).rstrip(".") for _ in "st")
        one = one if frame.startswith("{s}") else _small(one)
        text, drawn = draw_words(rng, frame.format(s=one, t=_small(two)))
        if length(text) < LONGEST:
            return text if text.endswith("?") else f"{text}.", drawn


def _small(template: str) -> str:
    """The sentence as it stands within another: its first words begin small, unless they are names."""
    first, _, rest = template.partition(" ")
    kept = (*words.names(), "I", "Mum")
    return f"{'/'.join(w if w in kept else w.lower() for w in first.split('/'))} {rest}"


def _of_a_story(rng: random.Random) -> tuple[str, str]:
    """A sentence about a cast, and one of the words that name it."""
    cast = draw_cast(rng)
    sentence = rng.choice(fillings(rng.choice(tables.read("short")["blanks"][0]), cast.slots(rng)))
    cast_words = (cast.hero, cast.adjective, cast.place, cast.noun, cast.friend)
    return sentence, rng.choice([word for word in cast_words if holds(sentence, word)])


def _of_another_form(rng: random.Random) -> tuple[str, str]:
    """A sentence of a story, greeting, advice or answer, and one of its longer words."""
    while True:
        write = rng.choice((longforms.story, shortforms.greeting, shortforms.advice, shortforms.chat))
        sentence = rng.choice(re.split(r"(?<=[.!?]) ", write(rng).answer))
        gaps = re.findall(r"\b[a-z]{3,}\b", sentence)
        if gaps and length(sentence) in _SENTENCE_TOKENS and not sentence.startswith('"'):
            return sentence, rng.choice(gaps)


@cache
def _any_words() -> tuple[str, ...]:
    """Everyday words, subjects and the words that everyday sentences draw, each once."""
    drawn = (
        word
        for line in chain.from_iterable(tables.read("everyday")["sentences"])
        for group in alternatives(line)
        for word in group
    )
    everyday = dict.fromkeys((*words.plain_words(), *words.other_words(), *words.subjects(), *drawn))
    return tuple(word for word in everyday if word.islower() and "'" not in word and len(word) > 1)
