"""Openings, dialogues, advice, code: how a prompt and its answer are drawn from the tables."""

from __future__ import annotations

import random

from dgemma_play.training.grammar import snippets, tables, words
from dgemma_play.training.grammar.elastic import (
    article,
    fit,
    pick,
    with_articles,
)
from dgemma_play.training.grammar.example import Example
from dgemma_play.training.grammar.plots import friends
from dgemma_play.training.grammar.prompts import ask, in_other_words

_TO_A_PERSON = ("greet", "goodbye")  # code whose plain wordings ask for a card: "say hello to a friend"
_RARE_WAYS = {"code signature": 0.35, "code question": 0.3, "code named": 0.35}  # weights; of others 1
_AS_A_DEED = 0.3  # of the deeds are made of a result
_OTHER_ARGUMENTS = 0.5  # of the first lines have arguments of other names than the task's
_OTHER_NAME = 0.4  # of the functions whose name is given have one of another task
_MANNERS_SHARE = 0.2  # of the requests for code that end with a word get a stop or a courtesy

# Tokens per slot of the forms with a fixed length.
ADVICE_TOKENS = 9
DIALOGUE_TOKENS = (9, 9, 9)


def opening(rng: random.Random) -> Example:
    """The first sentence of a novel."""
    hero = words.draw(rng, words.subjects())
    time, deed, result = (pick(rng, rng.choice(group)) for (group,) in tables.read("openings").values())
    kinds = (
        *("the opening line of a story", "an opening line", "the first sentence of a novel"),
        *("a first line", "the opening of a novel", "the first line of a book"),
        *("the start of a novel", "the very first line", "the beginning of a book"),
    )
    about = rng.choice((article(hero), f"the {hero}"))
    return Example(
        "opening", ask(rng, "opening", kinds, about), f"{time} the {hero} {deed}, {result}.", (hero,)
    )


def dialogue(rng: random.Random) -> Example:
    """Three turns between two heroes; the third speaker is the first again."""
    hero = words.draw(rng, friends())
    other = words.draw(rng, tuple(friend for friend in friends() if friend != hero))
    topic = rng.choice(tuple(tables.read("dialogues").values()))
    asked, said, last = (
        fit(rng, group, {}, tokens) for group, tokens in zip(topic, DIALOGUE_TOKENS, strict=True)
    )
    # The speakers stand in the words of the prompt, which is easier to learn than a label with a capital.
    answer = f'"{asked}" asks the {hero}.\n"{said[:-1]}," says the {other}.\n"{last}"'
    kinds = ("a dialogue", "a conversation", "a short dialogue", "a talk", "a little dialogue", "a chat")
    pair = rng.choice((f"{article(hero)} and {article(other)}", f"the {hero} and the {other}"))
    prompt = ask(rng, "dialogue", kinds, pair, (" between ", " between ", " of ", " with "))
    return Example("dialogue", prompt, answer, (hero, other))


def advice(rng: random.Random) -> Example:
    """Two pieces of advice from a hero."""
    hero = words.draw(rng, words.subjects())
    one, two = (fit(rng, group, {}, ADVICE_TOKENS) for group in tables.read("short")["advice"])
    kinds = ("advice", "some advice", "a piece of advice", "wise words", "good advice", "life advice")
    prompt = ask(rng, "advice", kinds, article(hero), (" from ",), patterns=False)
    return Example("advice", prompt, f"The {hero} says: {one} {two}", (hero,))


def code(rng: random.Random) -> Example:
    """A short Python function, asked for by what it does, gives or is called, a question or a first line."""
    tasks = snippets.tasks()
    task = rng.choices(tasks, [len(task.deeds) + len(task.results) for task in tasks])[0]
    deed = pick(rng, rng.choice(task.deeds))
    ways = snippets.ways(deed) | {"code named": "", "code signature": ""}
    if task.results:
        ways["code result"] = result = pick(rng, rng.choice(task.results))
        if rng.random() < _AS_A_DEED:
            ways["code that"] = snippets.as_deed(result) or deed
    if task.functions[0] in _TO_A_PERSON:
        ways = {way: said for way, said in ways.items() if way not in ("code to", "code result")}
    way = rng.choices(tuple(ways), [_RARE_WAYS.get(way, 1.0) for way in ways])[0]
    function = _function_name(rng, task, way)
    answer = rng.choice(task.codes(function))
    if way == "code signature" and rng.random() < _OTHER_ARGUMENTS:
        answer = task.code_with(function, snippets.argument_names(), rng)
    ways |= {"code named": f"{function} that {deed}", "code signature": answer.partition("\n")[0]}
    prompt = with_articles(in_other_words(rng, way, ways[way]))
    polite = prompt.endswith(("please", "thanks"))
    if way != "code signature" and prompt[-1].isalpha() and not polite and rng.random() < _MANNERS_SHARE:
        prompt += rng.choice((".", "!", " please", ", please", ", thanks", " pls"))
    return Example("code", prompt, answer)


def _function_name(rng: random.Random, task: snippets.Task, way: str) -> str:
    """A name of the task's. Where it is given it may be any; where it stands twice and is not, one alone."""
    if way == "code named" and rng.random() < _OTHER_NAME:
        return rng.choice(rng.choice(snippets.tasks()).functions)
    if task.calls_itself() and way not in ("code named", "code signature"):
        return task.functions[0]
    return rng.choice(task.functions)
