"""Short Python functions (`tables/snippets.txt`): a request and its code, with names to choose from.

Every variant of a task has the same tokens but for the names, so that positions stay certain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from dgemma_play.training.grammar import tables


@dataclass(frozen=True)
class Task:
    """What is asked for, the names that {a} and {b} may take, and the codes that do it."""

    asks: tuple[str, ...]
    names: tuple[dict[str, str], ...]
    codes: tuple[str, ...]

    def all_codes(self) -> list[str]:
        """Every code with every choice of names."""
        return [code.format(**names) for code in self.codes for names in self.names]


@cache
def tasks() -> tuple[Task, ...]:
    """All tasks of the table."""
    table = tables.read("snippets")
    arguments = {
        kind: tuple(dict(zip("ab", names.split("/"), strict=False)) for names in choices.split())
        for kind, choices in tables.pairs(table["names"][0]).items()
    }
    found = []
    for heading, groups in table.items():
        kind, _, asks = heading.partition(": ")
        if kind in arguments:
            codes = tuple("\n".join(group) for group in groups)
            found.append(Task(tuple(asks.split(" | ")), arguments[kind], codes))
    return tuple(found)
