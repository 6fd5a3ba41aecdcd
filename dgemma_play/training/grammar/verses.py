"""Lines of haiku and couplets.

The syllables of a haiku are counted, not its tokens. So the length in tokens of each of its lines is a
fixed function of the topic: positions are certain given the prompt. Couplets rhyme by family: any tail
with any second line of it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from functools import cache

from dgemma_play.training.grammar import elastic, tables, words

TAIL_TOKENS, SECOND_TOKENS = 3, 7  # of the end of a couplet's first line, and of its second line


def couplet(rng: random.Random, head: str, family: str, topics: Sequence[str]) -> str:
    """Two lines about the topics that rhyme; none of them stands in the tail of the first."""
    groups = tables.read("rhymes")[family]
    tails, seconds = ([elastic.pick(rng, line) for line in lines] for lines in groups)
    choices = [
        (tail, second)
        for tail in tails
        for second in seconds
        if last_word(tail) != last_word(second) and not set(topics) & set(tail.split())
    ]
    tail, second = rng.choice(choices)
    lines = (line.format_map(words.pronouns(*topics)) for line in (f"{head} {tail}", second))
    return ",\n".join(map(elastic.capital, lines)) + "."


def last_word(line: str) -> str:
    """The word that rhymes."""
    return re.findall(r"[a-z]+", line.lower())[-1]


@cache
def haiku_lines(topic: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Templates for the three lines of a haiku about a topic; each line has one token length.

    The opening holds the topic; its length is the commonest one for it. For the other lines the
    topic's place in the list picks one of the lengths that have at least three lines; a rare noun
    follows the first of its kin, a name the first of its family, so that a model can tell for a noun that
    it hardly knows.
    """
    phrase, family = words.verse_topic(topic)
    turn = list(words.verse_topics()).index(words.exemplar(topic))
    openings = (opener.format(t=phrase, n=topic) for opener in tables.read("verse")["openers"][0])
    first = _by_length(line for line in openings if syllables(_any(line)) == 5)
    second, third = (
        [lines for lines in _by_length(pool).values() if len(lines) >= 3]
        for pool in tables.read("haiku")[family]
    )
    return max(first.values(), key=len), second[turn % len(second)], third[turn % len(third)]


def _by_length(lines: Iterable[str]) -> dict[int, tuple[str, ...]]:
    """Lines grouped by their length in tokens."""
    lengths: dict[int, list[str]] = {}
    for line in lines:
        lengths.setdefault(elastic.length(_any(line)), []).append(line)
    return {tokens: tuple(group) for tokens, group in sorted(lengths.items())}


def _any(template: str) -> str:
    """Any of its lines; all have the same length and the same number of syllables."""
    return elastic.pick(random.Random(0), template)


def syllables(line: str) -> int:
    """Syllables of a line of English: vowel groups, silent endings, and a table of exceptions."""
    return sum(_word_syllables(word) for word in re.findall(r"[A-Za-z]+", line))


@cache
def _word_syllables(word: str) -> int:
    exceptions = _exceptions()
    word = word if word in exceptions else word.lower()
    if word in exceptions:
        return exceptions[word]
    groups = len(re.findall(r"[aeiouy]+", word))
    if groups > 1 and word.endswith("e") and not word.endswith("le"):
        groups -= 1
    if groups > 1 and word.endswith("ed") and not word.endswith(("ted", "ded")):
        groups -= 1
    return max(1, groups)


@cache
def _exceptions() -> dict[str, int]:
    entries = (entry.split(":") for entry in tables.words(tables.read("verse")["syllables"][0]))
    return {word: int(count) for word, count in entries}
