"""Any word as a subject.

To write about what it was asked for, whatever it is, a model must learn to carry a word over from the
prompt, not to know a list of subjects. So in a share of the examples the subject gives way to a stand-in:
any noun, verb or adjective of the tables, fit or not. An evaluation asks for stories and verses about the
held-out nouns, so these stand in elsewhere only: there the model meets them.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import cache

from dgemma_play.training.grammar import longforms, tables, verses, words
from dgemma_play.training.grammar.elastic import with_articles
from dgemma_play.training.grammar.example import Example

SHARE = 0.45  # of the examples of these forms, at most
_HELD_OUT_SHARE = 0.4  # of the stand-ins outside stories and verses are held-out nouns
_STRANGERS_SHARE = 0.3  # of the other stand-ins are drawn from words that are no subject themselves
_STRANGERS_SYLLABLES = 3  # at most: longer ones are too few
_STORIES_AND_VERSES = ("story", "long story", "haiku", "couplet", "poem")
FORMS = (*_STORIES_AND_VERSES, "opening", "dialogue", "advice")
# These would change what is asked for, or cannot follow "a".
_CUES = (
    *("list", "message", "song", "opening", "note", "goodbye", "you", "our", "she", "one", "into", "till"),
    *("beneath", "beside", "being", "got", "cannot", "yesterday", "everybody", "everywhere"),
    *("afar", "sixty", "ninety", "goodnight", "secretly", "upstairs", "downstairs"),
    *("feet", "geese", "teeth"),
)
_TABLES = (
    *("haiku", "kins", "named", "nouns", "openings", "plots", "rhymes", "sequels", "topics", "verse"),
    *("dialogues", "greetings", "short"),
)


def stand_in(rng: random.Random, example: Example) -> Example:
    """The example about another word in up to `SHARE` of the cases, else as it is.

    A haiku gives way to one about a thing: of a word that it hardly knows a model cannot tell the kin, so
    the lines are always as long as those of things.
    """
    if example.form not in FORMS or not example.asked or rng.random() >= SHARE:
        return example
    subject = example.asked[0]
    if words.verse_topics().get(subject, ("", ""))[0] == subject:
        return example  # "winter" has no article, its stand-in would need one
    haiku = example.form == "haiku"
    changed = longforms.haiku(rng, rng.choice(_things_alike())) if haiku else example
    return _replace_subject(rng, changed) or example


def _replace_subject(rng: random.Random, example: Example) -> Example | None:
    """The example about another word, if there is a fitting one and a subject that can be replaced."""
    if not example.asked:
        return None
    subject = example.asked[0]
    word = _draw(rng, example.form, subject)
    prompt, answer = example.prompt.lower(), example.answer
    # Not where the subject stands for something else too, or opens a line with a capital that few words have.
    clear = subject.islower() and len(re.findall(rf"\b{subject}\b", prompt)) == 1
    if not clear or subject.capitalize() in answer or word in prompt or word in answer.lower():
        return None
    return replace(
        example,
        prompt=_replaced(example.prompt, subject, word),
        answer=_replaced(answer, subject, word),
        asked=(word, *example.asked[1:]),
    )


def _draw(rng: random.Random, form: str, subject: str) -> str:
    """A stand-in. In stories and verses it has the subject's syllables, so that a haiku stays one."""
    if form not in _STORIES_AND_VERSES and rng.random() < _HELD_OUT_SHARE:
        return rng.choice(sorted(words.held_out()))
    count = verses.syllables(subject)
    pool = _pool(strangers_only=rng.random() < _STRANGERS_SHARE and count <= _STRANGERS_SYLLABLES)
    return rng.choice(pool.get(count, [subject]))


def _replaced(text: str, subject: str, word: str) -> str:
    """The text with another subject; article and capital follow."""
    text = re.sub(rf"\b{subject}\b", word, text)
    return with_articles(re.sub(rf"\b{subject.capitalize()}\b", word.capitalize(), text))


@cache
def _things_alike() -> tuple[str, ...]:
    """The things whose haiku have lines of the same length: the first one and the rare ones."""
    nouns = tuple(words.kins()["things"].members)
    return tuple(noun for noun in nouns if words.exemplar(noun) == nouns[0])


@cache
def _pool(strangers_only: bool) -> dict[int, list[str]]:
    """Words of `_TABLES` by their number of syllables: no plurals, cues or words that prompts hold anyway.

    Strangers are those that are no subject themselves.
    """
    lines = [
        line
        for name in _TABLES
        for groups in tables.read(name).values()
        for group in groups
        for line in group
    ]
    found = dict.fromkeys(re.findall(r"(?<![\w'{])[a-z]{3,}(?![\w'}])", "\n".join(lines)))
    never = {*words.held_out(), *words.plain_words(), *words.other_words()} - words.subjects().keys()
    never |= {*_CUES, *(words.verse_topics() if strangers_only else ())}
    counted: dict[int, list[str]] = {}
    for word in found:
        plural = word.endswith("s") and not word.endswith(("ss", "us"))  # "a cheerful shoes"
        if not plural and word not in never:
            counted.setdefault(verses.syllables(word), []).append(word)
    return counted
