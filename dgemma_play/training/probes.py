"""What a checkpoint is asked in an evaluation: prompts, and what their answers must hold.

Four kinds of wording: *seen* are wordings and subjects of the corpus; *paraphrased* are ways of asking
that no template has (of a blank: sentences that no template gives); *held out* are words of the vocabulary
that never were the subject of a story or verse, and *unknown* ones are spelt out in characters, because the
vocabulary does not have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dgemma_play.training.grammar import tables, words


@dataclass(frozen=True)
class Probe:
    """A prompt, the form that its answer should have, the words in it, and the task of code."""

    kind: str
    form: str
    prompt: str
    words: tuple[str, ...] = ()
    task: str = ""


def _probes(kind: str) -> tuple[Probe, ...]:
    """The rows under a heading of `probes.txt`."""
    (rows,) = tables.parse(Path(__file__).with_suffix(".txt").read_text(encoding="utf-8"))[kind]
    found = []
    for form, prompt, *rest in (row.split(" | ") for row in rows):
        asked = "".join(rest).split()
        task = "".join(word[1:] for word in asked if word.startswith("="))
        found.append(Probe(kind, form, prompt, tuple(w for w in asked if not w.startswith("=")), task))
    return tuple(found)


SEEN = _probes("seen")
PARAPHRASED = _probes("paraphrased")

HELD_OUT = tuple(
    Probe("held out", form, lead.format(noun=noun), (noun,))
    for noun in sorted(words.held_out())
    for form, lead in (
        ("story", "Write a story about a {noun}."),
        ("haiku", "Write a haiku about the {noun}."),
    )
)

_UNKNOWN = (
    *("xylophone", "platypus", "chandelier", "walnut", "gecko", "hammock", "saxophone", "quokka"),
    *("trombone", "zeppelin"),
)
UNKNOWN = tuple(
    Probe("unknown", form, lead.format(noun=noun))
    for noun in _UNKNOWN
    for form, lead in (
        ("story", "Write a story about a {noun}."),
        ("haiku", "Write a haiku about a {noun}."),
    )
) + tuple(
    Probe("unknown", "greeting", f"Write a greeting for {name}.")
    for name in ("Xanthippe", "Bartholomew", "Zbigniew", "Quentin", "Oluwaseun")
)

DIVERSITY = (
    "Write a short story about a fox.",
    "Write a haiku about the sea.",
    "Write a poem about the moon.",
    "Write a birthday wish for Noah.",
    "Name a bakery.",
)

STORIES = tuple(
    f"Write a story about a {hero}."
    for hero in ("fox", "pirate", "teapot", "robot", "baker", "dragon", "lighthouse", "girl")
)

SIDE_BY_SIDE = (
    *("Write a story about a bear.", "Write a story about a robot on the moon."),
    *("A short tale about my grandmother", "Write a haiku about winter.", "Write a haiku about a cat."),
    *("Write a poem about the rain.", "Write a couplet about coffee.", "Write a birthday wish for Anna."),
    *("Write a dialogue between a cat and a dog.", "Write an opening line about a lighthouse."),
)
