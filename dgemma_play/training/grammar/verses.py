"""Lines of haiku and couplets.

A haiku cannot be stretched with optional words, its syllables are counted. So the length in tokens of
each of its lines is a fixed function of the topic: positions are certain given the prompt. Couplets rhyme
by family: any tail with any second line of it.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from dgemma_play.training.grammar import elastic, tables, words

TAIL_TOKENS, SECOND_TOKENS = 3, 7  # of the end of a couplet's first line, and of its second line
# Words that may stand in both lines of a couplet, slots for pronouns among them.
_SMALL_WORDS = frozenset(
    [
        *("and", "at", "for", "in", "of", "so", "to", "with"),
        *("i", "it", "me", "my", "our", "us", "we", "{s}", "{o}"),
    ]
)
_FAMILIES_ANYWHERE = ("food", "feel", "people")  # of topics that may be found in any place: tea, love, school


def couplet(rng: random.Random, head: str, family: str, topics: Sequence[str]) -> str:
    """Two lines about the topics that rhyme; if there is a choice, no word of the head is said again."""
    groups = tables.read("rhymes")[family]
    tails, seconds = ([elastic.pick(rng, line) for line in lines] for lines in groups)
    said = set(head.lower().split()) - {"a", "the"}
    told = said - _SMALL_WORDS
    rhymes = [(tail, second) for tail in tails for second in seconds if last_word(tail) != last_word(second)]
    fresh = [
        (tail, second)
        for tail, second in rhymes
        if not said & set(tail.split()) and not told & set(second.split())
    ]
    tail, second = rng.choice(fresh or rhymes)
    lines = (line.format_map(words.pronouns(*topics)) for line in (f"{head} {tail}", second))
    return ",\n".join(map(elastic.capital, lines)) + "."


def mentions(text: str, topic: str) -> int:
    """How often a text names a topic, one or several of it."""
    return len(re.findall(rf"\b(?:{topic}|{words.plural(topic)})\b", text, re.IGNORECASE))


def repeated(text: str) -> set[str]:
    """The words of four letters and more that stand in a text twice."""
    found = Counter(re.findall(r"[a-z']{4,}", text.lower()))
    return {word for word, count in found.items() if count > 1}


def last_word(line: str) -> str:
    """The word that rhymes."""
    return re.findall(r"[a-z]+", line.lower())[-1]


@lru_cache(maxsize=2048)  # there are many phrases
def haiku_lines(topic: str, phrase: str = "") -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Templates for the three lines of a haiku about a topic; each line has one token length.

    The opening holds the topic, or the phrase that it is called by. For the other lines the
    topic's place in the list picks one of the lengths that have at least three lines; a rare noun
    follows the first of its kin, a name the first of its family, so that a model can tell for a noun that
    it hardly knows.
    """
    usual_phrase, family = words.verse_topic(topic)
    turn = list(words.verse_topics()).index(words.exemplar(topic))
    second, third = (
        [lines for lines in _by_length(pool).values() if len(lines) >= 3]
        for pool in tables.read("haiku")[family]
    )
    first = _with_phrase(_openers(topic), phrase or usual_phrase, 5)
    return first, second[turn % len(second)], third[turn % len(third)]


def haiku_lines_for_two(
    topic: str, phrase: str, other_phrase: str
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Templates for a haiku about a topic and something else, which the second line holds.

    How long a line is follows from the syllables of what it holds alone, and the third is about any two.
    """
    table = tables.read("verse")
    seconds = _with_phrase(table["beside"][0], other_phrase, 7)
    return _with_phrase(_openers(topic), phrase, 5), seconds, table["together"][0]


def _openers(topic: str) -> tuple[str, ...]:
    """First lines that suit a topic: no season stands by the door, and there is no spoon of a fox."""
    anywhere, somewhere, of_stuff = tables.read("verse")["openers"]
    phrase, family = words.verse_topic(topic)
    plain = topic in words.plain_topics()
    lines = anywhere if plain and family not in _FAMILIES_ANYWHERE else anywhere + somewhere
    return lines + of_stuff if plain and phrase == topic else lines


def _with_phrase(lines: Iterable[str], phrase: str, count: int) -> tuple[str, ...]:
    """The lines that have so many syllables with the phrase, of their commonest length in tokens."""
    name = phrase.removeprefix("the ")
    fitting = defaultdict(list)
    for line in lines:
        about = name if "{n}" in line else phrase
        rest_syllables, rest_tokens = _rest(line)
        if rest_syllables + syllables(about) == count:
            fitting[rest_tokens + elastic.length(about)].append(line.format(t=phrase, n=name))
    return max((tuple(fitting[tokens]) for tokens in sorted(fitting)), key=len)


@cache
def _rest(line: str) -> tuple[int, int]:
    """Syllables and tokens of a line without what it is about."""
    rest = _any(line).format(t="", n="")
    return syllables(rest), elastic.length(rest)


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
    return sum(_word_syllables(word) for word in re.findall(r"(?<!['’])\b[A-Za-z]+", line))


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
