"""Sentences of an exact length in tokens.

A uniform-diffusion model fixes its most certain positions first. If sentences of one slot differ in
length, a full stop becomes likely at a place where no sentence can end, is accepted, and the rest is
bent to fit. So all alternatives of a slot are equally long. Words in [brackets] may be kept or dropped,
but only in sentences whose length nobody asks for (blanks): where a slot could keep either of two, the
words between would stand in two places, and drafts stumbled ("go on on together"). Of words/joined/so
one is drawn: a model chooses single words far more evenly than whole sentences, so they are what makes
its drafts differ.

A place that has one token in nearly all texts should have it in all. What is sure is drawn again in every
pass, and a rare token that decides how the text goes on is never taken back: of 64 stories 31 were of the
one plot in fourteen that could have a question mark where the others have a full stop.

And the lines of which one is drawn (second and third ones of a haiku, openings, dialogues) have a place where
each has a word of its own that is not drawn. It tells which line it is; drafts that lack such a sign may mix
two of them ("A fish turns where the sun").
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache

# One token per word with its leading space. Also: a line break, an indent of four spaces (code), a
# blank of underscores, single digits, single signs. The tokenizer splits by the same pattern.
PATTERN = r"\n| {4}| ?_{2,}| ?[A-Za-z]+(?:_[A-Za-z]+)*(?:['’][A-Za-z]+)?| ?[0-9]| ?[^\sA-Za-z0-9]"
_TOKEN = re.compile(PATTERN)
_OPTION = re.compile(r"\[([^\]]*)\]")
_ALTERNATIVES = re.compile(r"[A-Za-z']+(?:/[A-Za-z']+)+")
_CONSONANT_SOUNDS = ("uni", "one", "once", "use", "using", "usu", "ewe", "uku", "ute", "eu")  # "a unicorn"
_ARTICLE = re.compile(
    r"\b([Aa])n? (?!(?:and|or|is|if|instead|e)\b)([A-Za-z]+)"
)  # "a and b", "a e i o u" have none


def normalise(text: str) -> str:
    """A space before the first word and after every line break, so that a word is one token anywhere."""
    return " " + text.replace("\n", "\n ")


def split(text: str) -> list[str]:
    """The tokens of a text as strings, leading spaces included."""
    return _TOKEN.findall(normalise(text))


def length(text: str) -> int:
    """Number of tokens, were every word in the vocabulary."""
    return len(split(text))


def capital(text: str) -> str:
    """Upper-case the first letter, also behind an opening quotation mark."""
    start = 1 if text.startswith('"') else 0
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]


def article(words: str) -> str:
    """`an owl`, `a fox`, `a unicorn`, `an hour`."""
    return f"{'an' if takes_an(words) else 'a'} {words}"


def takes_an(words: str) -> bool:
    """Whether the words begin with the sound of a vowel."""
    vowel = words[0].lower() in "aeiou" and not words.lower().startswith(_CONSONANT_SOUNDS)
    return vowel or words.lower().startswith(("hour", "honest", "honor", "honour", "heir"))


def with_articles(text: str) -> str:
    """The text with *a* and *an* as the words behind them ask."""
    return _ARTICLE.sub(lambda found: found[1] + article(found[2])[1:], text)


def alternatives(template: str) -> list[list[str]]:
    """The groups of words of which one is drawn: `[["red", "blue"]]` of `a red/blue hat`."""
    return [group.split("/") for group in _ALTERNATIVES.findall(template)]


def pick(rng: random.Random, template: str) -> str:
    """The template with one word of each group of alternatives."""
    return draw_words(rng, template)[0]


def draw_words(rng: random.Random, template: str) -> tuple[str, list[str]]:
    """The template with one word of each group of alternatives, and the words that were drawn."""
    drawn: list[str] = []

    def choose(group: re.Match[str]) -> str:
        drawn.append(rng.choice(group[0].split("/")))
        return drawn[-1]

    return _ALTERNATIVES.sub(choose, template), drawn


def fillings(template: str, slots: Mapping[str, str]) -> list[str]:
    """All sentences that a template can give: one per subset of its [optional] words."""
    parts = _OPTION.split(template)
    choices = [(part,) if index % 2 == 0 else ("", part) for index, part in enumerate(parts)]
    sentences = {"".join(choice) for choice in itertools.product(*choices)}
    return sorted({capital(re.sub(r" +", " ", sentence.format_map(slots)).strip()) for sentence in sentences})


@cache
def common_length(templates: tuple[str, ...]) -> int:
    """The length in tokens that most templates can reach (a slot counts as one word)."""
    rng = random.Random(0)  # any will do: alternatives are equally long
    counts = Counter(
        tokens
        for template in templates
        for tokens in {length(text) for text in fillings(pick(rng, template), defaultdict(lambda: "X"))}
    )
    return counts.most_common(1)[0][0]


def fit(rng: random.Random, templates: Sequence[str], slots: Mapping[str, str], tokens: int) -> str:
    """One of the templates, at exactly `tokens` tokens.

    Raises:
        ValueError: if no template can reach that length with these slots.
    """
    for template in rng.sample(templates, len(templates)):
        fitting = [text for text in fillings(pick(rng, template), slots) if length(text) == tokens]
        if fitting:
            return rng.choice(fitting)
    raise ValueError(f"no template reaches {tokens} tokens: {templates[0]!r} with {dict(slots)}")
