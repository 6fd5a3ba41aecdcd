"""Wordings of prompts, and words that nobody knows."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from dgemma_play.training.grammar.elastic import capital

_LEADS = (
    *["Write "] * 4,
    *("Write me ", "Please write ", "Can you write ", "Could you write ", "Give me ", "Tell me ", "Make up "),
    *("Compose ", "I want ", "I would like ", "I need ", "Create ", "Let me read ", "How about ", "Now "),
    *[""] * 6,
)
_ONSETS = (
    *("b", "br", "c", "ch", "d", "dr", "f", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pr", "qu"),
    *("r", "s", "sh", "st", "t", "tr", "v", "w", "x", "z"),
)
_CODAS = ("", "", "", "n", "l", "r", "s", "m", "x", "nt", "ck")


def request(
    rng: random.Random, kinds: Sequence[str], about: str = "", joins: Sequence[str] = (" about ",)
) -> str:
    """A prompt for a kind of text, in one of many wordings: `Please write a haiku about rain.`"""
    lead, kind, join = rng.choice(_LEADS), rng.choice(kinds), rng.choice(joins)
    if not lead and about and rng.random() < 0.2:
        kind = re.sub(r"^an? ", "", kind)
        join = rng.choice((": ", join))
    text = lead + kind + (join + about if about else "")
    question = lead.startswith(("Can", "Could", "How"))
    end = rng.choice(("?", "?", "") if question else (".", ".", "", "!", ", please.", " please"))
    text += end if rng.random() < 0.85 else ""
    return capital(text) if rng.random() < 0.65 else text[0].lower() + text[1:]


def invented_word(rng: random.Random) -> str:
    """A word outside the vocabulary, made of syllables (`brenko`, `zulti`), to be spelt in characters."""
    count = rng.choice((2, 2, 3))
    return "".join(rng.choice(_ONSETS) + rng.choice("aeiou") + rng.choice(_CODAS) for _ in range(count))
