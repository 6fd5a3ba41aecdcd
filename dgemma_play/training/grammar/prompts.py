"""Wordings of prompts, and words that nobody knows."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from dgemma_play.training.grammar import tables, words
from dgemma_play.training.grammar.elastic import article, capital, pick

_LEADS = (
    *["Write "] * 4,
    *("Write me ", "Please write ", "Can you write ", "Could you write ", "Give me ", "Tell me ", "Make up "),
    *("Compose ", "I want ", "I would like ", "I need ", "Create ", "Let me read ", "How about ", "Now "),
    *[""] * 6,
)
_ONSETS = (
    *("b", "br", "c", "ch", "d", "dr", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pr", "qu"),
    *("r", "s", "sh", "st", "t", "tr", "v", "w", "x", "z"),
)
_CODAS = ("", "", "", "n", "l", "r", "s", "m", "x", "nt", "ck")
# Shares of the requests that take another way to ask, and that say something before or behind.
_PATTERN_SHARE, _AROUND_SHARE = 0.4, 0.12
_OTHER_WORDS = 0.35  # of the requests name no kind of text, or name it in their own way
_MOOD_SHARE = 0.1  # of the kinds of text have a mood before them
_CHATTER_SHARE = 0.12  # of the requests have a few words more, that mean nothing to them
_STRANGE_SHARE = 0.15  # of these words are outside the vocabulary
_SAID_LAST = ("blank", "code")  # headings whose {x} would not end where it ends, were there words behind it


def request(
    rng: random.Random,
    kinds: Sequence[str],
    about: str = "",
    joins: Sequence[str] = (" about ",),
    patterns: bool = True,
) -> str:
    """A prompt for a kind of text, in one of many wordings: `Please write a haiku about rain.`

    Without `patterns` only by one of the `joins`: "a recipe for joy" is none about joy.
    """
    table = tables.read("asks")
    kind = _in_a_mood(rng, rng.choice(kinds))
    if patterns and about and rng.random() < _PATTERN_SHARE:
        text = rng.choice(table["patterns"][0]).format(
            k=kind, K=re.sub(r"^(?:an?|the|some) ", "", kind), x=about
        )
        text += rng.choice(("", "", ".", "!")) if text[-1].isalpha() else ""
    else:
        text = _plain_request(rng, kind, about, rng.choice(joins))
    if rng.random() < _AROUND_SHARE:
        text = text if about and text.startswith(about) else text[0].lower() + text[1:]
        text = f"{rng.choice(table['before'][0])} {text}"
    if rng.random() < _AROUND_SHARE:
        text = f"{text.rstrip('.!?')}{rng.choice((',', ''))} {rng.choice(table['after'][0])}"
    if rng.random() < _CHATTER_SHARE:
        text = _with_chatter(rng, text)
    if about and text.startswith(about):
        return text  # a noun keeps its small letter: with a capital a rare one is no word of the vocabulary
    return capital(text) if rng.random() < 0.65 else text[0].lower() + text[1:]


def relative(rng: random.Random, person: bool = False) -> str:
    """What may be said of a hero, or of a person, without changing who it is: `who can talk`."""
    lines = tables.read("asks")["relatives"][0]
    return rng.choice([line for line in lines if not (person and line.startswith(("that ", "which ")))])


def _in_a_mood(rng: random.Random, kind: str) -> str:
    """`a story`, or now and then `a funny story`."""
    bare = re.sub(r"^an? ", "", kind)
    if bare == kind or rng.random() >= _MOOD_SHARE:
        return kind
    return article(f"{rng.choice(tables.words(tables.read('asks')['moods'][0]))} {bare}")


def ask(
    rng: random.Random,
    heading: str,
    kinds: Sequence[str],
    about: str,
    joins: Sequence[str] = (" about ",),
    patterns: bool = True,
) -> str:
    """A `request`, or sometimes one `in_other_words`: those under a heading of `asks.txt`."""
    if rng.random() < _OTHER_WORDS:
        return in_other_words(rng, heading, about)
    return request(rng, kinds, about, joins, patterns)


def in_other_words(rng: random.Random, heading: str, about: str) -> str:
    """A prompt in a wording that only this kind of text has: `Wish Ana a happy birthday.`"""
    text = pick(rng, rng.choice(tables.read("asks")[heading][0])).format(x=about)
    text = text if (about and text.startswith(about)) or rng.random() < 0.6 else capital(text)
    if rng.random() < _CHATTER_SHARE:
        return _with_chatter(rng, text, behind=not heading.startswith(_SAID_LAST))
    return text


def _plain_request(rng: random.Random, kind: str, about: str, join: str) -> str:
    lead = rng.choice(_LEADS)
    if not lead and about and rng.random() < 0.2:
        kind = re.sub(r"^an? ", "", kind)
        join = rng.choice((": ", join))
    text = lead + kind + (join + about if about else "")
    question = lead.startswith(("Can", "Could", "How"))
    end = rng.choice(("?", "?", "") if question else (".", ".", "", "!", ", please.", " please"))
    return text + (end if rng.random() < 0.85 else "")


def _with_chatter(rng: random.Random, text: str, behind: bool = True) -> str:
    """The request with some everyday words before it, or else behind it; a few of them nobody knows."""
    chatter = " ".join(_any_word(rng) for _ in range(rng.randint(1, 5)))
    if not behind:
        return f"{chatter}{rng.choice('.:,!?')} {text}"
    if rng.random() < 0.5:
        return f"{chatter}{rng.choice(('', '.', ',', '!'))} {text}"
    return f"{text.rstrip('.!?')}{rng.choice(('', ','))} {chatter}"


def _any_word(rng: random.Random) -> str:
    return invented_word(rng) if rng.random() < _STRANGE_SHARE else rng.choice(words.plain_words())


def invented_word(rng: random.Random) -> str:
    """A word outside the vocabulary, made of syllables (`brenko`, `zulti`), to be spelt in characters."""
    count = rng.choice((2, 2, 3))
    while True:
        word = "".join(rng.choice(_ONSETS) + rng.choice("aeiou") + rng.choice(_CODAS) for _ in range(count))
        if not re.search("c[ou]nt|co[ck]|dick|fuck|fuk|shit|nigg|fag|tit|cum", word):
            return word
