"""Short Python functions (`tables/snippets.txt`): a request and its code, with names to choose from.

Every variant of a task has the same tokens but for the names, so that positions stay certain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from dgemma_play.training.grammar import tables


@dataclass(frozen=True)
class Task:
    """What is asked for, what the function and its arguments {a} and {b} may be called, and its code."""

    deeds: tuple[str, ...]  # "reverses a string"
    results: tuple[str, ...]  # "a string backwards"
    functions: tuple[str, ...]
    arguments: tuple[dict[str, str], ...]
    code: str

    def all_codes(self) -> list[str]:
        """The code with every choice of names."""
        return [
            self.code.format(f=function, **arguments)
            for function in self.functions
            for arguments in self.arguments
        ]


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
    verb = f"{verb[:-3]}y" if verb.endswith("ies") else verb[:-1]
    return f"{verb} {rest}"


def _question(clause: str) -> str:
    """`a number is even` -> `is a number even`, `a list has duplicates` -> `does a list have duplicates`."""
    subject, verb, rest = re.split(r" (is|are|has|contains) ", clause, maxsplit=1)
    if verb in ("is", "are"):
        return f"{verb} {subject} {rest}"
    return f"does {subject} {'have' if verb == 'has' else 'contain'} {rest}"
