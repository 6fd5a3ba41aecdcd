"""Subjects and names: who and what the little texts are about.

A *kin* is a group of subjects that share adjectives, places and things. Agreement (pronoun, place,
thing) comes from these tables, so it costs the model no choice once it knows the subject. Every
adjective, noun and name is one token; every thing is exactly "adjective noun", every place phrase
exactly three words. That keeps all sentences of one slot equally long.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from dgemma_play.training.grammar import tables

_COMMON_SHARE = 0.45  # of the draws are from the common nouns alone, the others from all
_NAMES_FAMILY = "people"  # of the lines of haiku about somebody by name
_PRONOUNS = {"h": "he", "s": "she", "": "it"}
_FORMS = {
    "he": {"s": "he", "o": "him", "ps": "his"},
    "she": {"s": "she", "o": "her", "ps": "her"},
    "it": {"s": "it", "o": "it", "ps": "its"},
    "they": {"s": "they", "o": "them", "ps": "their"},
}


@dataclass(frozen=True)
class Kin:
    """Subjects that behave alike; `members` maps a noun to he, she or it, `rare` ones included."""

    members: dict[str, str]
    rare: frozenset[str]
    adjectives: tuple[str, ...]
    places: tuple[str, ...]
    things: tuple[str, ...]
    verse: str  # which family of haiku lines suits them


@cache
def kins() -> dict[str, Kin]:
    """All kins by name."""
    found = {}
    for heading, (members, adjectives, places, things) in tables.read("kins").items():
        name, _, verse = heading.partition(" / ")
        rare = _pronouns(*tables.read("nouns").get(name, ()))
        found[name] = Kin(
            members=_pronouns(members) | rare,
            rare=frozenset(rare),
            adjectives=tables.words(adjectives),
            places=tables.words(places),
            things=things,
            verse=verse,
        )
    return found


def _pronouns(*groups: tables.Group) -> dict[str, str]:
    """Noun -> pronoun of entries like `fox:s`."""
    entries = (entry.partition(":") for group in groups for entry in tables.words(group))
    return {noun: _PRONOUNS[letter] for noun, _, letter in entries}


@cache
def subjects() -> dict[str, tuple[Kin, str]]:
    """Every noun that can be the hero of a story, with its kin and pronoun."""
    return {noun: (kin, pronoun) for kin in kins().values() for noun, pronoun in kin.members.items()}


def pronouns(topic: str, *others: str) -> dict[str, str]:
    """Slots s, o and ps for a topic (she, her, her); several are they."""
    if others:
        return _FORMS["they"]
    if is_first_name(topic):
        return _FORMS["she" if topic in women() else "he"]
    return _FORMS[subjects()[topic][1] if topic in subjects() else "it"]


@cache
def verse_topics() -> dict[str, tuple[str, str]]:
    """Every verse subject: its phrase ("the sea", "love", "the fox"), its family of lines; rare ones last."""
    heroes = {noun: (f"the {noun}", kin.verse) for noun, (kin, _) in subjects().items()}
    topics = {noun: entry for noun, entry in heroes.items() if not _is_rare(noun)} | plain_topics()
    return topics | {noun: entry for noun, entry in heroes.items() if noun not in topics}


def verse_topic(topic: str) -> tuple[str, str]:
    """A verse subject's phrase and family of lines; a first name is a subject too."""
    return verse_topics().get(topic) or (topic, _NAMES_FAMILY)


@cache
def plain_topics() -> dict[str, tuple[str, str]]:
    """The verse subjects that are nobody: rain, the sea, love."""
    return {
        word.removeprefix("the:").replace(":", " "): (word.replace(":", " "), family)
        for family, (group,) in tables.read("topics").items()
        for word in tables.words(group)
    }


def draw(rng: random.Random, nouns: Iterable[str]) -> str:
    """One of the nouns, of which some may be rare only; those that people ask for come more often."""
    common, rare = by_rarity(nouns)
    return rng.choice(common if rng.random() < _COMMON_SHARE and common else common + rare)


def by_rarity(nouns: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The common ones and the rare ones."""
    return _by_rarity(tuple(nouns))


@cache
def _by_rarity(nouns: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (
        tuple(noun for noun in nouns if not _is_rare(noun)),
        tuple(noun for noun in nouns if _is_rare(noun)),
    )


def _is_rare(noun: str) -> bool:
    return noun in subjects() and noun in subjects()[noun][0].rare


def plural(noun: str) -> str:
    """`foxes`, `puppies`, `wolves`."""
    if noun in _odd_plurals():
        return _odd_plurals()[noun]
    if noun.endswith("y") and noun[-2] not in "aeou":
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "x", "sh", "ch")) else "s")


@cache
def _odd_plurals() -> dict[str, str]:
    return tables.pairs(tables.read("lists")["plurals"][0])


def is_common(noun: str) -> bool:
    """Whether a subject is of those that people ask for most."""
    return noun in subjects() and not _is_rare(noun)


def exemplar(topic: str) -> str:
    """The topic itself, or for a rare noun the first of its kin, for a first name the first of its family."""
    if topic not in verse_topics():
        return next(other for other, (_, family) in plain_topics().items() if family == _NAMES_FAMILY)
    return next(iter(subjects()[topic][0].members)) if _is_rare(topic) else topic


@cache
def everywhere() -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Adjectives, places and things of all kins, each once: a story may borrow from another kin."""
    rows = [(kin.adjectives, kin.places, kin.things) for kin in kins().values()]
    adjectives, places, things = (
        tuple(dict.fromkeys(word for group in groups for word in group)) for groups in zip(*rows, strict=True)
    )
    return adjectives, places, things


@cache
def names() -> tuple[str, ...]:
    """First names."""
    return tables.words(tables.read("lists")["names"][0])


def is_first_name(topic: str) -> bool:
    """Whether it is a name and nothing else; April is a month."""
    return topic in names() and topic not in verse_topics()


@cache
def women() -> frozenset[str]:
    """The first names that ask for "she"."""
    return frozenset(tables.words(tables.read("lists")["women"][0]))


@cache
def held_out() -> frozenset[str]:
    """Nouns that never are the subject of a story or verse, so that an evaluation can ask for them."""
    return frozenset(tables.words(tables.read("lists")["held out"][0]))


@cache
def plain_words() -> tuple[str, ...]:
    """Everyday words that prompts may hold without a change of what they ask for."""
    return tables.words(tables.read("lists")["plain words"][0])


@cache
def other_words() -> tuple[str, ...]:
    """More words that prompts may hold, so that they are not spelt out."""
    return tables.words(tables.read("lists")["other words"][0])


@cache
def times() -> tuple[str, ...]:
    """Time phrases of three words."""
    return tables.read("lists")["times"][0]


def place_phrase(place: str) -> str:
    """Three words for every place: `in the forest`, `by the sea`."""
    return _prepositions().get(place, f"in the {place}")


@cache
def _prepositions() -> dict[str, str]:
    return tables.pairs(tables.read("lists")["places"][0])
