"""Plots of the stories (`tables/plots.txt`, `tables/sequels.txt`) and who plays in them.

Every plot has five sentences of the same lengths, so that no plot is chosen by its length.
"""

from __future__ import annotations

import random
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from functools import cache

from dgemma_play.training.grammar import tables, words
from dgemma_play.training.grammar.elastic import article, fit, takes_an

# Tokens per sentence, full stop included: 61 together, 62 with the end-of-text token, of a canvas of 64.
LENGTHS = (16, 11, 12, 11, 11)
SEQUEL_LENGTHS = (13, 11, 11, 11, 11)
_OF_A_KIN = 5  # so many of every kin come along unasked
_NO_STRANGERS = ("friend", "page", "swallow", "twin")  # "A twin came by" needs more words.
_COMPANIES = 14  # so many plots share out the companions, see `companions`; the next ones begin again
_RARER = {"shop": 0.6, "lost": 0.6, "moon": 0.8}  # weights, others have 1: drafts fall into these
_BORROWED = 0.25  # of the adjectives, places and things come from any kin: "a lonely robot in the bakery"
_BY_KIN = 0.4  # of the heroes are drawn by their kin first: things alone are a quarter of all subjects


@dataclass(frozen=True)
class Cast:
    """Who and what one story is about, and which heading of `plots` tells it (any, where it is empty)."""

    hero: str
    adjective: str
    friend: str
    thing: str
    place: str
    plot: str = ""

    @property
    def noun(self) -> str:
        """The noun of the thing: `bell` of `silver bell`."""
        return self.thing.split()[1]

    def slots(self, rng: random.Random) -> dict[str, str]:
        """The slots of a sentence; the time phrase is drawn anew."""
        return {
            "T": rng.choice(words.times()),
            "A": article(f"{self.adjective} {self.hero}"),
            "a": self.adjective,
            "h": self.hero,
            "aH": article(self.hero),
            **words.pronouns(self.hero),
            "F": self.friend,
            "aF": article(self.friend),
            "O": article(self.thing),
            "On": self.thing,
            "n": self.noun,
            "P": words.place_phrase(self.place),
            "p": self.place,
            "place": f"the {self.place}",
        }


@cache
def friends() -> tuple[str, ...]:
    """Everybody who can be a friend or speak: all subjects but plain things."""
    things = words.kins()["things"]
    return tuple(noun for noun, (kin, _) in words.subjects().items() if kin is not things)


def draw_cast(rng: random.Random, hero: str = "") -> Cast:
    """A cast with this hero or any, and mostly what suits it. Half of the friends are of its kin."""
    if not hero:
        one_kin = rng.choice(tuple(words.kins().values()))
        hero = words.draw(rng, one_kin.members if rng.random() < _BY_KIN else words.subjects())
    kin = words.subjects()[hero][0]
    mates = tuple(kin.members) if rng.random() < 0.5 else friends()
    adjectives, places, things = words.everywhere()
    friend = words.draw(rng, tuple(mate for mate in mates if mate != hero))
    pool = things if rng.random() < _BORROWED else kin.things
    return Cast(
        hero=hero,
        adjective=rng.choice(adjectives if rng.random() < _BORROWED else kin.adjectives),
        friend=friend,
        thing=rng.choice([thing for thing in pool if not {hero, friend} & set(thing.split())]),
        place=rng.choice(places if rng.random() < _BORROWED else kin.places),
    )


@cache
def companions(plot: str) -> tuple[str, ...]:
    """Whom a hero meets unasked in this plot: its share of the kins' best known members.

    They are persons and animals that take *a*. Plots that are `_COMPANIES` apart have the same share.
    """
    known = []
    for kin in words.kins().values():
        fitting = [
            noun
            for noun in kin.members
            if noun in friends()
            and words.is_common(noun)
            and words.pronouns(noun)["s"] != "it"
            and not takes_an(noun)
            and noun not in _NO_STRANGERS
        ]
        known += fitting[:_OF_A_KIN]
    return tuple(known[list(tables.read("plots")).index(plot) % _COMPANIES :: _COMPANIES])


def settle(rng: random.Random, cast: Cast, asked: Container[str]) -> Cast:
    """The cast in a plot, with one of its companions and an adjective with *a*, unless they were `asked` for.

    A draft settles on an article before it settles on the word behind it (all things take *a*); and where any
    of a score of nouns may come next, a small model at a low temperature is surer of the hero again.
    """
    cast = replace(cast, plot=_heading(rng, cast, "plots"))
    if cast.friend not in asked:
        strangers = [one for one in companions(cast.plot) if one not in (cast.hero, cast.noun)]
        cast = replace(cast, friend=rng.choice(strangers))
    while takes_an(cast.adjective) and cast.adjective not in asked:
        cast = replace(cast, adjective=draw_cast(rng, cast.hero).adjective)
    return cast


def tell(rng: random.Random, cast: Cast) -> list[str]:
    """Five sentences of the cast's plot."""
    return _sentences(rng, cast, "plots", cast.plot or _heading(rng, cast, "plots"), LENGTHS)


def tell_sequel(rng: random.Random, cast: Cast) -> list[str]:
    """Five sentences of what came later."""
    return _sentences(rng, cast, "sequels", _heading(rng, cast, "sequels"), SEQUEL_LENGTHS)


def _cast_words(cast: Cast) -> frozenset[str]:
    return frozenset((cast.hero, cast.friend, cast.noun, cast.place))


def _heading(rng: random.Random, cast: Cast, table: str) -> str:
    # No moon that is invited to dinner on the moon, no ladder that builds a ladder.
    headings = [heading for heading in tables.read(table) if heading not in _cast_words(cast)]
    return rng.choices(headings, [_RARER.get(heading, 1.0) for heading in headings])[0]


def _sentences(
    rng: random.Random, cast: Cast, table: str, heading: str, lengths: tuple[int, ...]
) -> list[str]:
    slots = cast.slots(rng)
    return [
        fit(rng, _without(wordings, _cast_words(cast)), slots, tokens)
        for wordings, tokens in zip(tables.read(table)[heading], lengths, strict=True)
    ]


def _without(wordings: Sequence[str], unwanted: frozenset[str]) -> Sequence[str]:
    """The wordings that say none of the words themselves; all of them if each one does."""
    return [wording for wording in wordings if not _said(wording) & unwanted] or wordings


@cache
def _said(wording: str) -> frozenset[str]:
    """The words of a wording, but what stands for its slots."""
    return frozenset(re.findall(r"[a-z]+", re.sub(r"\{\w+\}", "", wording.lower())))
