"""Cards: greetings, wishes, thanks and the like, with a reason that the prompt gives and the card says back.

Who a card is to and what it is for are read off the drawn prompt, so the same words always show them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

from dgemma_play.training.grammar import tables, words
from dgemma_play.training.grammar.elastic import article, common_length, fit, length
from dgemma_play.training.grammar.example import Example, holds
from dgemma_play.training.grammar.prompts import ask, in_other_words, invented_word, request

_UNKNOWN_NAME = 0.2  # share of greetings for a name outside the list
_TWO_NAMES = 0.1  # share of greetings to two people
_NO_NAME = 0.34  # share of greetings to somebody, or to several, without a name
_UNNAMED = 0.6  # of these say themselves who it is, if there are such wordings
_SEVERAL = 0.25  # of these are to several
_REASON = 0.45  # of the plain requests for a kind of card that knows reasons give one
# Oftener than others.
_ASKED_MOST = (
    *("greeting", "birthday wish", "congratulation", "farewell") * 2,
    *("congratulation", "thank you note", "apology", "good luck note"),
)


@dataclass(frozen=True)
class Occasion:
    """What a card is for: what it says of it, and how such a card begins, goes on and ends."""

    said: str
    groups: tuple[tables.Group, ...]


def greeting(rng: random.Random) -> Example:
    """A greeting, wish, note or farewell; an unknown name, or none, becomes `friend` or `friends`."""
    kinds = tables.read("greetings")
    kind = rng.choice((*_ASKED_MOST, *kinds))
    prompt, called, asked = _unnamed(rng, kind) if rng.random() < _NO_NAME else _named(rng, kind)
    occasion = occasion_of(kind, prompt) or Occasion("", kinds[kind])
    slots = {"N": called, "r": occasion.said}
    # Only how it begins has slots: it is longer where a name or a reason has more than one word.
    longer = (length(called) - 1 + max(0, length(occasion.said) - 1), 0, 0)
    parts = [
        fit(rng, group, slots, common_length(group) + more)
        for group, more in zip(occasion.groups, longer, strict=True)
    ]
    reason = [word for word in occasion.said.split()[-1:] if holds(prompt, word)]
    return Example("greeting", prompt, " ".join(parts), (*asked, *reason))


def occasion_of(kind: str, prompt: str) -> Occasion | None:
    """The occasion that the words of a prompt show first in the order of the table, if any."""
    for cue, occasion in occasions(kind):
        if holds(prompt, cue):
            return occasion
    return None


@cache
def occasions(kind: str) -> tuple[tuple[str, Occasion], ...]:
    """The words that show an occasion of this kind of card, each with the occasion."""
    return tuple(_occasions(kind))


def _occasions(kind: str) -> Iterator[tuple[str, Occasion]]:
    table, general = tables.read("occasions"), tables.read("greetings")[kind]
    for heading, groups in table.items():
        if heading.startswith(f"{kind}: "):
            begins, _, *own_ends = table[kind]
            cues, *own = groups
            for cue, said in tables.pairs(cues).items():
                yield cue, Occasion(said, (begins, *(own or general[1:2]), *(own_ends or general[2:])))


def _named(rng: random.Random, kind: str) -> tuple[str, str, tuple[str, ...]]:
    """A request for a greeting to one or two by name, what it calls them, and the names that it must hold."""
    if rng.random() <= _UNKNOWN_NAME:
        return _greet(rng, kind, invented_word(rng).capitalize(), names=(), one=True), "friend", ()
    names = (rng.choice(words.names()),)
    if rng.random() < _TWO_NAMES:
        names = (*names, rng.choice([other for other in words.names() if other not in names]))
    called = " and ".join(names)
    return _greet(rng, kind, called, names, one=len(names) < 2), called, names


def _greet(rng: random.Random, kind: str, about: str, names: tuple[str, ...], one: bool) -> str:
    """A request for a kind of greeting; other wordings are about one person: "{x} turns six"."""
    card = f"{re.sub(' (?:wish|note|card)$', '', kind)} card"
    kinds = (article(kind), article(kind), f"a short {kind}", kind, article(card), article(card))
    reason = _reason(rng, kind, names) if occasions(kind) and rng.random() < _REASON else ""
    wording = partial(ask, heading=kind) if one and not reason else request
    return wording(
        rng, kinds=kinds, about=about + reason, joins=(" for ", " for ", " to "), patterns=not reason
    )


def _reason(rng: random.Random, kind: str, names: tuple[str, ...]) -> str:
    """What a card is for, as a request says it behind whom it is to: ` on her new job`."""
    _, occasion = rng.choice(occasions(kind))
    # Before a name that nobody knows, and a person without one, "the" is never wrong.
    whose = rng.choice(("the", words.pronouns(*names)["ps"] if names else "the"))
    tail = rng.choice(tables.read("occasions")[kind][1])
    return " " + tail.format(r=re.sub(r"^your\b", whose, occasion.said))


def _unnamed(rng: random.Random, kind: str) -> tuple[str, str, tuple[str, ...]]:
    """A request for a greeting to somebody without a name; the rest as in `_named`."""
    several = rng.random() < _SEVERAL
    heading = f"{kind} unnamed" + " plural" * several
    if heading in tables.read("asks") and rng.random() < _UNNAMED:
        prompt = in_other_words(rng, heading, "")
    else:
        persons = tables.read("lists")["several persons" if several else "one person"][0]
        prompt = _greet(rng, kind, rng.choice(persons), names=(), one=not several)
    called = address(prompt, several)
    return prompt, called, (called,) if holds(prompt, called) else ()


def address(prompt: str, several: bool = False) -> str:
    """How a card calls whom the prompt means: by the first of the words for people that it says."""
    said = _addresses("several" if several else "one")
    people = "|".join(sorted(said, key=len, reverse=True))
    found = re.search(rf"\b(?:my|our|an?|the)(?: \w+){{0,2}}? ({people})\b", prompt, re.IGNORECASE)
    return said[found[1].lower()] if found else "friends" if several else "friend"


@cache
def _addresses(number: str) -> dict[str, str]:
    return tables.pairs(tables.read("addresses")[number][0])
