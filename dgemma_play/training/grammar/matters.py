"""Everyday matters: tips, lists of three things, recipes, drawn from the tables."""

from __future__ import annotations

import random

from dgemma_play.training.grammar import tables, words
from dgemma_play.training.grammar.elastic import article, capital, fit, pick, with_articles
from dgemma_play.training.grammar.example import Example, renamed, shared
from dgemma_play.training.grammar.prompts import ask, in_other_words, request

# Tokens per slot.
ITEM_TOKENS = 6
RECIPE_TOKENS = (11, 8, 8)
TIP_TOKENS = 10

_GENERAL = 0.3  # of the tips are about a matter, and of the recipes for a dish, without an own entry
_FEELINGS = 0.5  # of these recipes are for a feeling
_NOUNS = 0.4  # of these matters are any noun
_DEEDS = 0.4  # of the tips are asked for with what is to be done
_POCKETS = 0.35  # of the lists are of what somebody has in a pocket
_PARENTS = ("dad", "father", "mom", "mum", "mother")  # for whom there are lists of their own
_QUESTIONS = 0.4  # of the other lists are asked for by a question that they answer
_FOR_ANY_MATTER = ("other matters", "general", "deeds")  # headings of `matters.txt` that are none
_RECIPES = ("a recipe", "a short recipe", "a little recipe", "a good recipe", "an easy recipe")


def named() -> tuple[str, ...]:
    """The matters with an own entry."""
    return tuple(heading for heading in tables.read("matters") if heading not in _FOR_ANY_MATTER)


def tips(rng: random.Random) -> Example:
    """Two tips on an everyday matter that name it; those on another are for any."""
    table = tables.read("matters")
    as_deed = rng.random() < _DEEDS
    if rng.random() < _GENERAL:
        firsts, seconds = table["general"]
        deed = rng.choice(table["deeds"][0])
        said, matter = (deed, "that") if as_deed else _other_matter(rng)
    else:
        matter = rng.choice(named())
        things, deeds, firsts, seconds = table[matter]
        said = rng.choice(deeds if as_deed else things)
    prompt = in_other_words(rng, "tips to" if as_deed else "tips on", said)
    answer = " ".join(fit(rng, group, {"x": matter}, TIP_TOKENS) for group in (firsts, seconds))
    return Example("tips", prompt, answer, shared(prompt, answer, matter))


def items(rng: random.Random) -> Example:
    """A list of three things: for an everyday matter, or from somebody's pocket."""
    if rng.random() < _POCKETS:
        hero = words.draw(rng, words.heroes())
        where = rng.choice(("pocket", "bag", "suitcase", "drawer", "house"))
        kinds = ("three things", "a list of three things", "a list of things", "a short list of things")
        prompt = request(rng, kinds, f"the {where} of {article(hero)}", (" in ",), patterns=False)
        things = tables.read("short")["items"][0]
    else:
        kinds, questions, things = rng.choice(tuple(tables.read("items").values()))
        if rng.random() < _QUESTIONS:
            prompt = pick(rng, rng.choice(questions))
        else:
            prompt = request(rng, [pick(rng, kind) for kind in kinds])
        others = [p for p in tables.read("lists")["one person"][0] if not p.endswith(_PARENTS)]
        prompt = prompt.replace("{p}", rng.choice(others))
    lines = [capital(fit(rng, (thing,), {}, ITEM_TOKENS)) for thing in rng.sample(things, 3)]
    return Example("list", prompt, "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1)))


def recipe(rng: random.Random) -> Example:
    """How to make a dish; one for a feeling, or for anything else, is of kind words."""
    if rng.random() < _GENERAL:
        feelings = tables.words(tables.read("short")["feelings"][0])
        feeling = rng.choice(feelings)
        dish = feeling if rng.random() < _FEELINGS else article(words.draw(rng, words.heroes()))
        prompt = request(rng, _RECIPES, dish, (" for ",), patterns=False)
        groups = tables.read("short")["recipe"]
    else:
        dishes, *ways = rng.choice(tuple(tables.read("dishes").values()))
        dish, needed = rng.choice(tuple(tables.pairs(dishes).items()))
        prompt = with_articles(ask(rng, "dish", _RECIPES, dish, (" for ",), patterns=False))
        groups = ((f"For {{x}}, take {needed}.",), *ways)
    answer = " ".join(fit(rng, group, {"x": dish}, n) for group, n in zip(groups, RECIPE_TOKENS, strict=True))
    return Example("recipe", prompt, answer, shared(prompt, answer, dish))


def _other_matter(rng: random.Random) -> tuple[str, str]:
    """A matter without an own entry, and how the answer names it: "my boat" is "your boat" there."""
    if rng.random() < _NOUNS:
        noun = words.draw(rng, words.heroes())
        said = with_articles(f"{rng.choice(('a', 'the', 'my'))} {noun}")
    else:
        said = rng.choice(tables.read("matters")["other matters"][0])
    return said, renamed(said)
