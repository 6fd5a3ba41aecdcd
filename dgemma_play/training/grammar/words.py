"""Subjects and names: who and what the little texts are about.

A *kin* is a group of subjects that share adjectives, places and things. Agreement (pronoun, place,
thing) comes from these tables, so it costs the model no choice once it knows the subject. Every
adjective, noun and name is one token; every thing is exactly "adjective noun", every place phrase
exactly three words. That keeps all sentences of one slot equally long.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from dgemma_play.training.grammar import tables

_PRONOUNS = {"h": "he", "s": "she", "": "it"}


@dataclass(frozen=True)
class Kin:
    """Subjects that behave alike. `members` maps a noun to its pronoun (he, she or it)."""

    members: dict[str, str]
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
        nouns = (member.partition(":") for member in tables.words(members))
        found[name] = Kin(
            members={noun: _PRONOUNS[letter] for noun, _, letter in nouns},
            adjectives=tables.words(adjectives),
            places=tables.words(places),
            things=things,
            verse=verse,
        )
    return found


@cache
def subjects() -> dict[str, tuple[Kin, str]]:
    """Every noun that can be the hero of a story, with its kin and pronoun."""
    return {noun: (kin, pronoun) for kin in kins().values() for noun, pronoun in kin.members.items()}


@cache
def verse_topics() -> dict[str, tuple[str, str]]:
    """Every verse subject: its phrase ("the sea", "love", "the fox") and its family of lines."""
    topics = {noun: (f"the {noun}", kin.verse) for kin in kins().values() for noun in kin.members}
    for family, (group,) in tables.read("topics").items():
        for word in tables.words(group):
            noun = word.removeprefix("the:").replace(":", " ")
            topics[noun] = (word.replace(":", " "), family)
    return topics


@cache
def names() -> tuple[str, ...]:
    """First names."""
    return tables.words(tables.read("lists")["names"][0])


@cache
def plain_words() -> tuple[str, ...]:
    """Everyday words that prompts may hold, so that they are not spelt out."""
    return tables.words(tables.read("lists")["plain words"][0])


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
