"""Names with a tagline. What the prompt says of the thing, how it is or where, stands in the tagline."""

from __future__ import annotations

import random
from functools import cache

from dgemma_play.training.grammar import tables, words
from dgemma_play.training.grammar.elastic import (
    article,
    capital,
    common_length,
    fit,
    length,
    pick,
    with_articles,
)
from dgemma_play.training.grammar.example import Example

_DESCRIBED = 0.5  # share of the things of which the prompt says something more
_PLACE = 0.6  # of the described things whose like have places have one
_QUALITY = 0.6  # of these have a quality, too
# Not before a name whose tagline says how the thing is: "The Blue Sparrow: A red car".
_LOOKS = ("Blue", "Green", "Silver", "Golden", "Copper", "Little", "Old", "New", "Quiet")
_ANY_QUALITY = 0.3  # of the qualities are drawn from all that a hero of a story may have
# Named without "The".
_UNTITLED = (
    *("robot", "cat", "dog", "planet", "ice cream", "tea", "dragon", "rabbit", "horse", "parrot", "hamster"),
    *("street", "island"),
)
_ALIASES = {
    "café": ("café", "cafe", "coffee shop"),
    "bookshop": ("bookshop", "bookstore"),
    "ice cream": ("ice cream", "ice cream flavor"),
    "boat": ("boat", "ship", "sailing boat"),
    "cat": ("cat", "kitten"),
    "dog": ("dog", "puppy"),
    "spaceship": ("spaceship", "rocket"),
    "rabbit": ("rabbit", "bunny"),
    "horse": ("horse", "pony"),
    "flower shop": ("flower shop", "florist"),
}


def name(rng: random.Random) -> Example:
    """A name with a tagline, about any such thing or about one that the prompt describes."""
    table = tables.read("named")
    kind = rng.choice(tuple(table))
    first, second, taglines = table[kind]
    thing = rng.choice(_ALIASES.get(kind, (kind,)))
    quality, place = _description(rng, kind) if rng.random() < _DESCRIBED else ("", "")
    firsts = [word for word in tables.words(first) if not (quality and word in _LOOKS)]
    title = f"{rng.choice(firsts)} {rng.choice(tables.words(second))}"
    title = title if kind in _UNTITLED else f"The {title}"
    if not (quality or place):
        tagline = fit(rng, taglines, {}, common_length(taglines))
        return Example("name", _prompt(rng, thing), f"{title}: {tagline}")
    described = f"{quality} {thing}".strip()
    frames = placed(kind) if place else qualified(kind)
    slots = {"k": described, "p": place} if place else {"k": thing, "q": quality}
    tokens = common_length(frames) + sum(length(said) - 1 for said in slots.values())
    tagline = with_articles(fit(rng, frames, slots, tokens))
    asked = tuple(said.rpartition(" ")[2] for said in (quality, place) if said)
    return Example("name", _prompt(rng, f"{described} {place}".strip()), f"{title}: {tagline}", asked)


def qualified(kind: str) -> tables.Group:
    """Taglines for a thing of this kind with a quality."""
    return _described(kind)[2]


def placed(kind: str) -> tables.Group:
    """Taglines for a thing of this kind in a place, if its like have places."""
    return _described(kind)[4] if len(_described(kind)) > 3 else ()


def _description(rng: random.Random, kind: str) -> tuple[str, str]:
    """How a thing is and where it is: one of these, or both."""
    groups = _described(kind)
    place = rng.choice(groups[3]) if placed(kind) and rng.random() < _PLACE else ""
    if place and rng.random() > _QUALITY:
        return "", place
    if rng.random() < _ANY_QUALITY:
        return rng.choice(_any_qualities()), place
    return rng.choice(tables.words(groups[1])), place


@cache
def _described(kind: str) -> tuple[tables.Group, ...]:
    """The groups of `tables/described.txt` for this kind."""
    return next(groups for groups in tables.read("described").values() if kind in groups[0])


@cache
def _any_qualities() -> tuple[str, ...]:
    """What a hero of a story may be, but for words that requests say of any thing: "a little {x}"."""
    said = {word for wording in tables.read("asks")["name"][0] for word in wording.split()}
    return tuple(word for word in words.everywhere()[0] if word not in said)


def _prompt(rng: random.Random, thing: str) -> str:
    """A request for a name for the thing, in one of many wordings."""
    wordings = tables.read("asks")["name"][0]
    # "The perfect bakery by the sea name" is no wording of anybody's.
    fitting = [wording for wording in wordings if not (" the " in thing and "{x} name" in wording)]
    prompt = pick(rng, rng.choice(fitting)).format(x=thing, a=article(thing))
    prompt = capital(prompt) if rng.random() < 0.5 else prompt
    return prompt + ("" if prompt.endswith(("?", "!")) else rng.choice((".", "", "")))
