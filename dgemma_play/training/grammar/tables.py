"""Reads the word tables in `tables/`.

One format for all: `# heading`, then groups of lines with a blank line between two groups; lines that
begin with `;` are remarks.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "tables"

Group = tuple[str, ...]


@cache
def read(name: str) -> dict[str, tuple[Group, ...]]:
    """Heading -> groups of lines of `tables/<name>.txt`."""
    return parse((_FOLDER / f"{name}.txt").read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, tuple[Group, ...]]:
    """Heading -> groups of lines of a table."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith(";")).strip()
    table = {}
    for block in text.removeprefix("# ").split("\n# "):
        heading, _, body = block.partition("\n")
        groups = body.strip().split("\n\n")
        table[heading.strip()] = tuple(tuple(group.splitlines()) for group in groups)
    return table


def words(group: Group) -> tuple[str, ...]:
    """All words of a group of lines, in order."""
    return tuple(word for line in group for word in line.split())


def pairs(group: Group) -> dict[str, str]:
    """Lines of the form `key: value`."""
    return {key: value.strip() for key, _, value in (line.partition(":") for line in group)}
