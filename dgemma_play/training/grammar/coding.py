"""Code: how a request for a short Python function is drawn; the functions are those of `snippets`."""

from __future__ import annotations

import random

from dgemma_play.training.grammar import snippets
from dgemma_play.training.grammar.elastic import pick, with_articles
from dgemma_play.training.grammar.example import Example
from dgemma_play.training.grammar.prompts import in_other_words

_TO_A_PERSON = ("greet", "goodbye")  # code whose plain wordings ask for a card: "say hello to a friend"
_RARE_WAYS = {"code signature": 0.35, "code question": 0.3, "code named": 0.35}  # weights; of others 1
_AS_A_DEED = 0.3  # of the deeds are made of a result
_OTHER_ARGUMENTS = 0.5  # of the first lines have arguments of other names than the task's
_OTHER_NAME = 0.4  # of the functions whose name is given have one of another task
_MANNERS_SHARE = 0.2  # of the requests for code that end with a word get a stop or a courtesy


def code(rng: random.Random) -> Example:
    """A short Python function, asked for by what it does, gives or is called, a question or a first line."""
    tasks = snippets.tasks()
    task = rng.choices(tasks, [len(task.deeds) + len(task.results) for task in tasks])[0]
    deed = pick(rng, rng.choice(task.deeds))
    ways = _ways(rng, task, deed)
    way = rng.choices(tuple(ways), [_RARE_WAYS.get(way, 1.0) for way in ways])[0]
    function = _function_name(rng, task, way)
    answer = rng.choice(task.codes(function))
    if way == "code signature" and rng.random() < _OTHER_ARGUMENTS:
        answer = task.code_with(function, snippets.argument_names(), rng)
    said = ways | {"code named": f"{function} that {deed}", "code signature": answer.partition("\n")[0]}
    prompt = with_articles(in_other_words(rng, way, said[way]))
    polite = prompt.endswith(("please", "thanks"))
    if way != "code signature" and prompt[-1].isalpha() and not polite and rng.random() < _MANNERS_SHARE:
        prompt += rng.choice((".", "!", " please", ", please", ", thanks", " pls"))
    return Example("code", prompt, answer)


def _ways(rng: random.Random, task: snippets.Task, deed: str) -> dict[str, str]:
    """The headings of `asks.txt` under which a task can be asked for, and what stands for {x} there.

    What a name or a first line says is known once its function has a name.
    """
    ways = snippets.ways(deed) | {"code named": "", "code signature": ""}
    if task.results:
        ways["code result"] = result = pick(rng, rng.choice(task.results))
        if rng.random() < _AS_A_DEED:
            ways["code that"] = snippets.as_deed(result) or deed
    if task.functions[0] in _TO_A_PERSON:
        return {way: said for way, said in ways.items() if way not in ("code to", "code result")}
    return ways


def _function_name(rng: random.Random, task: snippets.Task, way: str) -> str:
    """A name of the task's. Where it is given it may be any; where it stands twice and is not, one alone."""
    if way == "code named" and rng.random() < _OTHER_NAME:
        return rng.choice(rng.choice(snippets.tasks()).functions)
    if task.calls_itself() and way not in ("code named", "code signature"):
        return task.functions[0]
    return rng.choice(task.functions)
