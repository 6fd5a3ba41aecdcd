"""Short Python functions (`tables/snippets.txt`): a request and its code, with names to choose from.

Every variant of a task has the same tokens but for the names, so that positions stay certain.
"""

from __future__ import annotations

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
