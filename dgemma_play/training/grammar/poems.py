"""Haiku, couplets, poems: what a verse is about, how its prompt says it, and how its lines are drawn.

The lines themselves, their syllables and rhymes, are those of `verses`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from dgemma_play.training.grammar import tables, verses, words
from dgemma_play.training.grammar.elastic import article, capital, pick
from dgemma_play.training.grammar.example import Example
from dgemma_play.training.grammar.longforms import (
    BY_NAME,
    OWNERS,
    UNKNOWN_SUBJECT,
    children,
    clause,
    with_words,
)
from dgemma_play.training.grammar.plots import draw_cast, draw_trouble
from dgemma_play.training.grammar.prompts import ask, invented_word, relative

_TWO_TOPICS = 0.22  # share of the verses about two things
_DESCRIBED = 0.35  # share of the topics of verses that are somebody's or have an adjective
_LONGEST_IN_HAIKU = 5  # syllables of what a haiku calls its topic
_HAIKU_KINDS = (
    *("a haiku", "a haiku", "a haiku", "a short haiku", "haiku", "a three line poem", "a Japanese poem"),
    *("a poem in three lines", "a haiku poem", "three short lines", "a poem of seventeen syllables"),
    "a poem with five, seven and five syllables",
)
_COUPLET_KINDS = (
    *("two lines that rhyme", "two rhyming lines", "a couplet", "a rhyme", "a two line poem"),
    *("a rhyming couplet", "a short rhyme", "a rhyme in two lines", "two lines of rhyme"),
    *("something that rhymes", "a quick rhyme", "a little rhyme"),
)
_POEM_KINDS = (
    *("a poem", "a short poem", "a little poem", "a rhyming poem", "four lines that rhyme", "some verses"),
    *("a poem that rhymes", "four rhyming lines", "four lines of verse", "a verse or two", "a song"),
)
_FINISH = ("Finish the rhyme: ", "Complete the couplet: ", "Continue: ", "finish this rhyme: ")
_FINISHED = 0.12  # of the couplets have their first line in the prompt


@dataclass(frozen=True)
class _Subject:
    """What a verse is about: the prompt calls it `about`, the verse `phrase`, with the words `asked`."""

    topic: str
    about: str
    phrase: str
    asked: tuple[str, ...]


@dataclass(frozen=True)
class _Theme:
    """All that a verse is about, one subject or two."""

    subjects: tuple[_Subject, ...]

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(subject.topic for subject in self.subjects)

    @property
    def about(self) -> str:
        return " and ".join(subject.about for subject in self.subjects)

    @property
    def phrase(self) -> str:
        return " and ".join(subject.phrase for subject in self.subjects)

    @property
    def asked(self) -> tuple[str, ...]:
        return tuple(word for subject in self.subjects for word in subject.asked)

    def named_once(self, text: str) -> bool:
        """Whether a text names each of the topics once; "The rain in the rain" does not."""
        return all(verses.mentions(text, topic) == 1 for topic in self.topics)


def _verse_subject(rng: random.Random, topic: str | None = None, longest: int | None = None) -> _Subject:
    """The topic or any; described only in phrases of so many syllables."""
    unknown = rng.random() < UNKNOWN_SUBJECT
    if not topic and not unknown and rng.random() < BY_NAME:
        topic = rng.choice(names_in_verse())
    topic = topic or words.draw(rng, words.verse_topics() if rng.random() < 0.7 else words.plain_topics())
    phrase, _ = words.verse_topic(topic)
    if unknown:
        return _Subject(topic, rng.choice((invented_word(rng), article(invented_word(rng)))), phrase, ())
    if rng.random() < _DESCRIBED:
        described = [_shortened(subject, longest) for subject in _described(rng, topic)]
        fitting = [s for s in described if longest is None or verses.syllables(s.phrase) <= longest]
        if fitting:
            return rng.choice(fitting)
    wordings = [phrase, phrase, topic, f"the {topic}"] if topic.islower() else [phrase]
    if words.is_first_name(topic):
        wordings += [f"my friend {topic}", f"{topic} {relative(rng, person=True)}", phrase]
    if topic in words.heroes():
        trouble, cast = draw_trouble(rng, draw_cast(rng, topic))  # it changes no verse
        in_trouble = f"{article(topic)} {clause(rng, trouble, cast)}"
        wordings += [article(topic), article(topic), with_words(rng, topic), in_trouble]
    if words.is_common(topic):
        wordings += [words.plural(topic)]
    return _Subject(topic, rng.choice(wordings), phrase, (topic,))


def _described(rng: random.Random, topic: str) -> list[_Subject]:
    """The topic as somebody's, or with an adjective: the verse says what the prompt says, word for word."""
    table = tables.read("verse")
    hero = topic in words.subjects()
    countable = words.verse_topic(topic)[0] != topic and topic not in words.uncountable()
    if not hero and topic not in tables.words(table["owned"][0]):
        return []
    of_all, of_things = map(tables.words, table["adjectives"])
    adjectives = of_all
    if hero:
        kin, _ = words.subjects()[topic]
        adjectives += kin.adjectives if kin.verse == "people" else kin.adjectives + of_things
    my, adjective = rng.choice(("my", "my", "our")), rng.choice(adjectives)
    owner = rng.choice([owner for owner in OWNERS if not verses.mentions(owner, topic)])
    phrases = (
        (f"{my} {topic}", (topic,)),
        (f"{my} {owner} {topic}", (topic, owner)),
        (f"{my} {owner} {topic}", (topic, owner)),
        (f"{my} {adjective} {topic}", (topic, adjective)),
        (f"{my} {owner} {adjective} {topic}", (topic, owner, adjective)),
    )
    named = f"the {adjective} {topic}"
    about = rng.choice((named, article(f"{adjective} {topic}"))) if countable else named
    return [
        *(_Subject(topic, phrase, phrase, asked) for phrase, asked in phrases),
        _Subject(topic, about, named, (topic, adjective)),
    ]


def _shortened(subject: _Subject, longest: int | None) -> _Subject:
    """The subject; were its phrase longer, `my mother's` is `mother's`, as one says of no other owner."""
    if longest is None or verses.syllables(subject.phrase) <= longest:
        return subject
    return replace(subject, phrase=re.sub("^(?:my|our) (?=(?:grand)?mother's )", "", subject.phrase))


def _theme(rng: random.Random, topic: str | None = None, longest: int | None = None) -> _Theme:
    """As `_verse_subject`, sometimes with a second one, in any order."""
    one = _verse_subject(rng, topic, longest)
    if not one.asked or rng.random() >= _TWO_TOPICS:
        return _Theme((one,))
    while True:
        pair = _Theme(tuple(rng.sample((one, _verse_subject(rng, longest=longest)), 2)))
        if all(subject.asked for subject in pair.subjects) and pair.named_once(pair.phrase):
            return pair


def _redrawn(draw: Callable[[], str], good: Callable[[str], bool]) -> str:
    """The first text drawn that is good."""
    text = draw()
    while not good(text):
        text = draw()
    return text


@cache
def names_in_verse() -> tuple[str, ...]:
    """Names whose syllables the rule counts: not those with two vowels in a row (Mia, Leo, Paul)."""
    return tuple(name for name in children() if not re.search("[aeiouy]{2}", name.lower()))


def haiku(rng: random.Random, topic: str | None = None) -> Example:
    """Three lines of 5, 7 and 5 syllables, about the topic or any, sometimes with another."""
    theme = _theme(rng, topic, _LONGEST_IN_HAIKU)
    first, *others = theme.subjects
    if others:
        templates = verses.haiku_lines_for_two(first.topic, first.phrase, others[0].phrase)
    else:
        templates = verses.haiku_lines(first.topic, first.phrase)
    answer = _redrawn(
        lambda: "\n".join(capital(pick(rng, rng.choice(lines))) for lines in templates),
        lambda text: theme.named_once(text) and verses.repeated(text) <= verses.repeated(theme.phrase),
    )
    joins = (" about ", " with ", " on ") if others else (" about ", " about ", " on ")
    heading = rng.choice(("haiku", "haiku of two")) if others else "haiku"
    prompt = ask(rng, heading, _HAIKU_KINDS, theme.about, joins)
    return Example("haiku", prompt, answer, theme.asked)


def head(rng: random.Random, phrase: str) -> str:
    """How a couplet begins: it names what it is about."""
    (heads,) = tables.read("verse")["heads"]
    return pick(rng, rng.choice(heads)).format(t=phrase)


def couplet(rng: random.Random) -> Example:
    """Two lines that rhyme."""
    theme = _theme(rng)
    family = rng.choice(tuple(tables.read("rhymes")))
    answer = _redrawn(
        lambda: verses.couplet(rng, head(rng, theme.phrase), family, theme.topics),
        theme.named_once,
    )
    if rng.random() < _FINISHED and theme.asked:
        return Example("couplet", rng.choice(_FINISH) + answer.split("\n")[0], answer, theme.asked)
    return Example("couplet", ask(rng, "couplet", _COUPLET_KINDS, theme.about), answer, theme.asked)


def poem(rng: random.Random) -> Example:
    """Two couplets."""
    theme = _theme(rng)
    families = tuple(tables.read("rhymes"))
    first = rng.randrange(len(families))
    second = (first + 1) % len(families)  # one choice fixes both rhymes, which is easier to learn
    (heads,) = tables.read("verse")["second heads"]
    answer = _redrawn(
        lambda: "\n".join(
            (
                verses.couplet(rng, head(rng, theme.phrase), families[first], theme.topics),
                verses.couplet(rng, pick(rng, rng.choice(heads)), families[second], theme.topics),
            )
        ),
        theme.named_once,
    )
    return Example("poem", ask(rng, "poem", _POEM_KINDS, theme.about), answer, theme.asked)
