"""Plots of the stories and who plays in them.

Those of `tables/plots.txt` and `tables/sequels.txt` go with any prompt; one of `tables/troubles.txt` or
`tables/moods.txt` is told where a prompt names it. Every plot has five sentences of the same lengths, so
that no plot is chosen by its length.
"""

from __future__ import annotations

import random
import re
from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cache

from dgemma_play.training.grammar import tables, words
from dgemma_play.training.grammar.elastic import article, fit, takes_an

# Tokens per sentence, full stop included: 61 together, 62 with the end-of-text token, of a canvas of 64.
LENGTHS = (16, 11, 12, 11, 11)
SEQUEL_LENGTHS = (13, 11, 11, 11, 11)
Plot = tuple[tables.Group, ...]  # wordings of five sentences
_NEVER = {"huge": "small", "tall": "small", "cheerful": "lonely"}  # adjective -> matter that would deny it
_BORROWED = 0.25  # of the adjectives, places and things come from any kin: "a lonely robot in the bakery"


@dataclass(frozen=True)
class Cast:
    """Who and what one story is about."""

    hero: str
    adjective: str
    friend: str
    thing: str
    place: str
    matter: str = "hat"  # what a trouble is about
    pronoun: str = ""  # he, she or it, where a prompt calls the hero otherwise than the tables do

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
            **(words.pronoun_forms(self.pronoun) if self.pronoun else words.pronouns(self.hero)),
            "F": self.friend,
            "aF": article(self.friend),
            "O": article(self.thing),
            "On": self.thing,
            "n": self.noun,
            "P": words.place_phrase(self.place),
            "p": self.place,
            "place": f"the {self.place}",
            "b": self.matter,
            "aB": article(self.matter),
            "bP": words.place_phrase(self.matter),
        }


@dataclass(frozen=True)
class Trouble:
    """What may happen to a hero: ways to say it, what it may be about, and its plot."""

    ways: tables.Group
    matters: tuple[str, ...]
    plot: Plot

    @property
    def clauses(self) -> tuple[str, ...]:
        """The ways that stand behind the hero; the others are whole requests."""
        return tuple(way for way in self.ways if "{x}" not in way)


@dataclass(frozen=True)
class Mood:
    """How a story may be: the words for it, requests that have it, and its plot."""

    words: tuple[str, ...]
    requests: tables.Group
    plot: Plot


@cache
def troubles() -> tuple[Trouble, ...]:
    """All troubles."""
    return tuple(
        Trouble(ways, _matters(tables.words(matters)), tuple(plot))
        for ways, matters, *plot in tables.read("troubles").values()
    )


def _matters(entries: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a trouble, for `*things` all countable members of a kin: any word may be carried over."""
    kins = words.kins()
    return tuple(
        matter
        for entry in entries
        for matter in (kins[entry[1:]].members if entry.startswith("*") else (entry,))
        if matter not in words.uncountable() or matter == entry  # "lost a fertilizer"
    )


@cache
def moods() -> tuple[Mood, ...]:
    """All moods that have a plot."""
    return tuple(
        Mood(tables.words(said), requests, tuple(plot))
        for said, requests, *plot in tables.read("moods").values()
    )


@cache
def friends() -> tuple[str, ...]:
    """Everybody who can be a friend or speak: all subjects but plain things."""
    things = words.kins()["things"]
    return tuple(noun for noun in words.heroes() if words.subjects()[noun][0] is not things)


def draw_cast(rng: random.Random, hero: str = "") -> Cast:
    """A cast with this hero or any, and mostly what suits it; half of the friends are of its kin."""
    hero = hero or words.draw(rng, words.heroes())
    kin = words.subjects()[hero][0]
    mates = tuple(kin.members) if rng.random() < 0.5 else friends()
    adjectives, places, things = words.everywhere()
    return Cast(
        hero=hero,
        adjective=rng.choice(adjectives if rng.random() < _BORROWED else kin.adjectives),
        friend=words.draw(rng, tuple(mate for mate in mates if mate != hero and mate in words.heroes())),
        thing=rng.choice(things if rng.random() < _BORROWED else kin.things),
        place=rng.choice(places if rng.random() < _BORROWED else kin.places),
    )


def with_a(rng: random.Random, cast: Cast, asked: Container[str]) -> Cast:
    """The cast with words that take *a*, not *an*, wherever the prompt has not `asked` for them.

    A draft settles on an article before it settles on the word behind it.
    """
    named = {"adjective": cast.adjective, "friend": cast.friend, "thing": cast.noun}
    free = [part for part, word in named.items() if word not in asked]
    fresh = cast

    def fits(part: str) -> bool:
        word = getattr(fresh, part)
        return not takes_an(word) and cast.matter not in (word.split()[-1], _NEVER.get(word))

    while not all(map(fits, free)):
        drawn = draw_cast(rng, cast.hero)
        fresh = replace(cast, **{part: getattr(drawn, part) for part in free})
    return fresh


def draw_trouble(rng: random.Random, cast: Cast) -> tuple[Trouble, Cast]:
    """A trouble, and the cast with what it is about: nothing that the story names anyway."""
    named = {cast.hero, cast.adjective, cast.friend, cast.noun, cast.place, _NEVER.get(cast.adjective)}
    fitting = [
        (trouble, matters)
        for trouble in troubles()
        if (matters := [m for m in trouble.matters if m not in named])
    ]
    trouble, matters = rng.choice(fitting)
    return trouble, replace(cast, matter=words.draw(rng, matters))


def tell(rng: random.Random, cast: Cast, plot: Plot | None = None) -> list[str]:
    """Five sentences of the plot or any."""
    if plot is None:
        trouble, cast = draw_trouble(rng, cast)
        while takes_an(cast.matter):
            trouble, cast = draw_trouble(rng, cast)
        others = (*tables.read("plots").values(), *(mood.plot for mood in moods()))
        untroubled = rng.random() < len(others) / (len(others) + len(troubles()))
        plot = rng.choice(others) if untroubled else trouble.plot
    return _sentences(rng, cast, plot, LENGTHS)


def tell_sequel(rng: random.Random, cast: Cast) -> list[str]:
    """Five sentences of what came later."""
    return _sentences(rng, cast, rng.choice(tuple(tables.read("sequels").values())), SEQUEL_LENGTHS)


def _sentences(rng: random.Random, cast: Cast, plot: Plot, lengths: tuple[int, ...]) -> list[str]:
    """One wording of each sentence, at a time that suits them; on the moon nobody sees another moon."""
    # A time is of one weather and hour, and those are what a plot begins with.
    begins = " ".join(wording for wordings in plot[:2] for wording in wordings)
    slots = cast.slots(rng) | {"T": rng.choice(words.times_beside(begins))}
    fitting = [_naming_none_else(cast, wordings) for wordings in plot]
    while True:
        told = [fit(rng, wordings, slots, tokens) for wordings, tokens in zip(fitting, lengths, strict=True)]
        text = " ".join(told)
        if "on the moon" not in text or text.count("moon") == 1:
            return told


def _naming_none_else(cast: Cast, wordings: tables.Group) -> tables.Group:
    """The wordings, if there are any, that use no word for another one: no lamp comes with a lamp."""
    players = re.compile(rf"\b(?:{cast.hero}|{cast.friend})\b")
    return tuple(wording for wording in wordings if not players.search(wording)) or wordings
