"""Short Python functions (`tables/snippets.txt`): a request and its code, with names to choose from.

Every variant of a task has the same tokens but for the names, so that positions stay certain.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from dgemma_play.training.grammar import tables

# What cannot be said of a thing that is given: "returns its how many items", "returns their swap".
_NO_OBJECT = r"(how|what|every|each|all|one|two|twice|half|random|n|given|first three)\b"
_NO_PROPERTY = (
    r"(?<!number) (of|an?) |(larg|bigg|great|small|low)er$|est$|\bone$"
    r"|check|loop|swap|pattern|times|hello|goodbye|stars|test\b|joined|together|added|divided|multiplied"
)
_GIVEN = r"numbers?|integers?|values?|lists?|arrays?|words?|texts?|strings?|sentences?|names?"


@dataclass(frozen=True)
class Task:
    """What is asked for, what the function and its arguments {a} and {b} may be called, and its code."""

    deeds: tuple[str, ...]  # "reverses a string"
    results: tuple[str, ...]  # "a string backwards"
    functions: tuple[str, ...]
    arguments: tuple[dict[str, str], ...]
    code: str

    def codes(self, function: str) -> list[str]:
        """The code of a function of that name, with every choice of arguments."""
        return [self.code.format(f=function, **arguments) for arguments in self.arguments]

    def all_codes(self) -> list[str]:
        """The code with every choice of names."""
        return [code for function in self.functions for code in self.codes(function)]

    def calls_itself(self) -> bool:
        """Whether the code holds its own name, which then must be the same at both places."""
        return self.code.count("{f}") > 1

    def code_with(self, function: str, names: Sequence[str], rng: random.Random) -> str:
        """The code with some of `names` for what its first line names, but none that it needs itself."""
        arguments = rng.choice(self.arguments)
        signature = self.code.partition("\n")[0]
        needed = re.findall(r"[a-z_]+", re.sub(r"{\w}", "", self.code))
        taken = {*needed, *arguments.values()}
        given = [slot for slot in arguments if f"{{{slot}}}" in signature]
        others = rng.sample([name for name in names if name not in taken], len(given))
        return self.code.format(f=function, **(arguments | dict(zip(given, others, strict=True))))


@cache
def tasks() -> tuple[Task, ...]:
    """All tasks of the table."""
    table = dict(tables.read("snippets"))
    arguments = {
        kind: tuple(dict(zip("ab", names.split("/"), strict=False)) for names in choices.split())
        for kind, choices in tables.pairs(table.pop("names")[0]).items()
    }
    found = []
    for heading, (group,) in table.items():
        signature, _, wordings = heading.partition(": ")
        kind, functions = signature.split(" / ")
        deeds, _, results = wordings.partition(" || ")
        found.append(
            Task(
                tuple(deeds.split(" | ")),
                tuple(results.split(" | ")) if results else (),
                tuple(functions.split()),
                arguments[kind],
                "\n".join(group),
            )
        )
    return tuple(found)


@cache
def argument_names() -> tuple[str, ...]:
    """What arguments of any task may be called, each once."""
    choices = tables.pairs(tables.read("snippets")["names"][0]).values()
    return tuple(dict.fromkeys(name for names in choices for name in re.split(r"[ /]", names)))


def as_deed(result: str) -> str | None:
    """`the sum of two numbers` -> `takes two numbers and returns their sum`, if it can be said so."""
    found = re.fullmatch(r"(?:the |an? )?(.+?) (?:of|in) (a|the|my|two) (\w+)", result)
    if not found:
        return None
    what, which, given = found.groups()
    odd = re.match(_NO_OBJECT, what) or re.search(_NO_PROPERTY, what)
    if odd or not re.fullmatch(_GIVEN, given):
        return None  # "takes a list and returns its every item"
    several = which == "two"
    return f"takes {'two' if several else 'a'} {given} and returns {'their' if several else 'its'} {what}"


def ways(deed: str) -> dict[str, str]:
    """Headings of `asks.txt` under which a deed can be asked for, and what stands for {x} there."""
    found = {"code that": deed, "code to": _infinitive(deed)}
    if deed.startswith("checks if "):
        clause = deed.removeprefix("checks if ")
        found |= {"code if": clause, "code question": _question(clause)}
    return found


def _infinitive(deed: str) -> str:
    """`multiplies two numbers` -> `multiply two numbers`."""
    verb, _, rest = deed.partition(" ")
    # "takes two numbers and adds them" has a second verb, "joins names and words" has none.
    rest = re.sub(
        r"\b(and|then) (\w+)\b",
        lambda found: f"{found[1]} {_bare(found[2])}" if found[2] in _verbs() else found[0],
        rest,
    )
    return f"{_bare(verb)} {rest}"


@cache
def _verbs() -> frozenset[str]:
    """The verbs that deeds begin with."""
    deeds = (deed for task in tasks() for deed in task.deeds)
    return frozenset(verb for deed in deeds for verb in deed.split()[0].split("/"))


def _bare(verb: str) -> str:
    """`multiplies` -> `multiply`."""
    if verb.endswith("ies"):
        return f"{verb[:-3]}y"
    return verb[:-2] if verb.endswith(("oes", "xes", "shes", "ches", "sses")) else verb[:-1]


def _question(clause: str) -> str:
    """`a number is even` -> `is a number even`, `a list has duplicates` -> `does a list have duplicates`."""
    subject, verb, rest = re.split(r" (is|are|has|contains) ", clause, maxsplit=1)
    if verb in ("is", "are"):
        return f"{verb} {subject} {rest}"
    return f"does {subject} {'have' if verb == 'has' else 'contain'} {rest}"
