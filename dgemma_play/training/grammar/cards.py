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
    if rng.random() < _NO_NAME:
        prompt, called = _unnamed(rng, kind)
        asked = (called,) if holds(prompt, called) else ()
    else:
        known = rng.random() > _UNKNOWN_NAME
        about = rng.choice(words.names()) if known else invented_word(rng).capitalize()
        asked = (about,) if known else ()
        if known and rng.random() < _TWO_NAMES:
            asked = (about, rng.choice([other for other in words.names() if other != about]))
            about = " and ".join(asked)
        prompt = _greet(rng, kind, about, asked, one=len(asked) < 2)
        called = about if known else "friend"
    occasion = occasion_of(kind, prompt)
    said = occasion.said if occasion else ""
    groups = occasion.groups if occasion else kinds[kind]
    slots = {"N": called, "r": said}
    # Only how it begins has slots, and two names are longer than one.
    spare = (length(called) - 1 + (length(said) - 1 if said else 0), 0, 0)
    parts = [
        fit(rng, group, slots, common_length(group) + more) for group, more in zip(groups, spare, strict=True)
    ]
    reason = [word for word in said.split()[-1:] if holds(prompt, word)]
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


def _greet(rng: random.Random, kind: str, about: str, names: tuple[str, ...], one: bool) -> str:
    """A request for a kind of greeting; other wordings are about one person: "{x} turns six"."""
    card = f"{re.sub(' (?:wish|note|card)$', '', kind)} card"
    kinds = (article(kind), article(kind), f"a short {kind}", kind, article(card), article(card))
    reason = ""
    if occasions(kind) and rng.random() < _REASON:
        _, occasion = rng.choice(occasions(kind))
        # Before a name that nobody knows, and a person without one, "the" is never wrong.
        whose = rng.choice(("the", words.pronouns(*names)["ps"] if names else "the"))
        tail = rng.choice(tables.read("occasions")[kind][1])
        reason = " " + tail.format(r=re.sub(r"^your\b", whose, occasion.said))
    wording = partial(ask, heading=kind) if one and not reason else request
    return wording(
        rng, kinds=kinds, about=about + reason, joins=(" for ", " for ", " to "), patterns=not reason
    )


def _unnamed(rng: random.Random, kind: str) -> tuple[str, str]:
    """A request for a greeting to somebody without a name, and what the greeting calls them."""
    several = rng.random() < _SEVERAL
    heading = f"{kind} unnamed" + " plural" * several
    if heading in tables.read("asks") and rng.random() < _UNNAMED:
        prompt = in_other_words(rng, heading, "")
    else:
        persons = tables.read("lists")["several persons" if several else "one person"][0]
        prompt = _greet(rng, kind, rng.choice(persons), names=(), one=not several)
    return prompt, address(prompt, several)


def address(prompt: str, several: bool = False) -> str:
    """How a card calls whom the prompt means: by the first of the words for people that it says."""
    said = _addresses("several" if several else "one")
    people = "|".join(sorted(said, key=len, reverse=True))
    found = re.search(rf"\b(?:my|our|an?|the)(?: \w+){{0,2}}? ({people})\b", prompt, re.IGNORECASE)
    return said[found[1].lower()] if found else "friends" if several else "friend"


@cache
def _addresses(number: str) -> dict[str, str]:
    return tables.pairs(tables.read("addresses")[number][0])
