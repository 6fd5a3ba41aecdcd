"""Stories, of one canvas and of two: how a prompt and its answer are drawn from the tables."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from dgemma_play.training.grammar import words
from dgemma_play.training.grammar.elastic import article, capital, pick, with_articles
from dgemma_play.training.grammar.example import Example, holds
from dgemma_play.training.grammar.plots import (
    Cast,
    Mood,
    Plot,
    Trouble,
    draw_cast,
    draw_trouble,
    moods,
    tell,
    tell_sequel,
    with_a,
)
from dgemma_play.training.grammar.prompts import as_said, ask, invented_word, relative, request

_TWO_HEROES = 0.12  # share of the stories about somebody by name that have a friend in the prompt
UNKNOWN_SUBJECT = 0.04  # share of stories and verses asked about a word that nobody knows
BY_NAME = 0.12  # share of stories and verses about somebody by name
_RELATIVE = 0.15  # share of the heroes of stories of whom more is said, that changes nothing
_WITH_FRIEND = 0.22  # share of the heroes in trouble who have a friend in the prompt
_TROUBLED = 0.36  # share of the stories whose prompt names a trouble
_IN_A_MOOD = 0.16  # share of the others whose prompt names a mood
_MOOD_AS_KIND = 0.7  # of these say "a sad story", the others have a request of their own
_PAST = re.compile(
    r"who (?:was|had|could|lost|broke|found|got|won|went|felt|came|saw|ran"
    r"|kept|forgot|grew|built|bought|never|\w+ed)\b"
)  # how a trouble that is told as past begins
_OTHER_PRONOUN = 0.25  # of the animals in trouble are called he, she or it by the prompt
_KINDS = (
    *("a story", "a short story", "a tiny story", "a little story", "a bedtime story", "a tale"),
    *("a small story", "a story to read in bed", "a fairy tale", "some story", "a nice story"),
    "a quick story",
)
_LONG_KINDS = ("a long story", "a longer story", "a very long story", "a story in two parts", "a long tale")
_MOODY_KINDS = ("a {} story", "a {} story", "a short {} story", "a {} little story", "a {} tale")
_JOINS = (" about ", " about ", " about ", " with ", " of ", " where you meet ")
_CHILDREN = {"she": "girl", "he": "boy"}
OWNERS = (
    *("aunt's", "brother's", "friend's", "grandmother's", "mother's", "neighbor's", "neighbour's"),
    "sister's",
)


def story(rng: random.Random) -> Example:
    """Five sentences about a hero and a friend, sometimes with a thing or place that the prompt names."""
    called = rng.choice(children()) if rng.random() < BY_NAME else ""
    cast = draw_cast(rng, _CHILDREN[words.pronouns(called)["s"]] if called else "")
    if rng.random() < _TROUBLED:
        return _story_of_trouble(rng, cast, called)
    about, asked = _named_subject(rng, cast, called) if called else _story_subject(rng, cast)
    if rng.random() < UNKNOWN_SUBJECT:
        called, about, asked = "", article(invented_word(rng)), ()
    # A mood has one plot, in which no thing is sure to occur.
    mood = rng.choice(moods()) if rng.random() < _IN_A_MOOD and cast.noun not in asked else None
    prompt = _in_mood(rng, mood, about) if mood else ask(rng, "story", _KINDS, about, _JOINS)
    plot = mood.plot if mood else None
    return Example("story", prompt, _told(rng, cast, called, about, asked, plot), asked)


def _in_mood(rng: random.Random, mood: Mood, about: str) -> str:
    """A request for a story that names the mood: `a sad story about a fox`."""
    if rng.random() >= _MOOD_AS_KIND:
        return as_said(rng, rng.choice(mood.requests).format(x=about), about)
    said = with_articles(rng.choice(_MOODY_KINDS).format(rng.choice(mood.words)))
    return request(rng, (said,), about, _JOINS)


def _story_of_trouble(rng: random.Random, cast: Cast, called: str) -> Example:
    """A story of the trouble that its prompt names: `a fox who lost her hat`."""
    trouble, cast = draw_trouble(rng, cast)
    way = pick(rng, rng.choice(trouble.ways))
    if words.subjects()[cast.hero][0].verse == "animal" and not called and rng.random() < _OTHER_PRONOUN:
        cast = replace(cast, pronoun=rng.choice(("he", "she", "it")) if re.search("{p?s}", way) else "")
    hero = article(cast.hero)
    placed = any("{P}" in wording for wording in trouble.plot[0])  # who moves to the city is nowhere yet
    wordings = (
        (50, hero, ()),
        (8, f"the {cast.hero}", ()),
        (6, f"my {cast.hero}", ()),
        (16, article(f"{cast.adjective} {cast.hero}"), (cast.adjective,)),
        (8 * placed, f"{hero} {words.place_phrase(cast.place)}", (cast.place,)),
    )
    by_name = ((1, called, ()), (1, f"little {called}", ()), (1, f"{hero} named {called}", ()))
    about, asked = _by_weight(rng, by_name if called else wordings)
    said = way.format(x=about, **cast.slots(rng))
    matter = (cast.matter,) if re.search("{b}|{aB}|{bP}", way) else ()
    asked = (called or cast.hero, *asked, *matter)
    if "{x}" in way:
        prompt = as_said(rng, said, about)
    else:
        if way.startswith("who ") and rng.random() < _WITH_FRIEND:
            # Not "and an owl": who lost her hat would have lost an owl as well.
            meets = "met" if _PAST.match(way) else "meets"
            said, asked = f"{said} and {meets} {article(cast.friend)}", (*asked, cast.friend)
        prompt = ask(rng, "story", _KINDS, f"{about} {said}", _JOINS)
    return Example("story", prompt, _told(rng, cast, called, about, asked, trouble.plot), asked)


def _told(
    rng: random.Random, cast: Cast, called: str, about: str, asked: tuple[str, ...], plot: Plot | None
) -> str:
    """A story that holds what was asked for, of the plot or any.

    Its hero is `our Ana`, where it is called so, or `my fox`, where the prompt is about that, wherever it
    was `the fox`.
    """
    mine = about == f"my {cast.hero}"
    cast = with_a(rng, cast, asked)
    text = ""
    clumsy = "There once was" if called or mine else "\n"  # "there once was our Ana"
    while not text or clumsy in text or not all(holds(text, word) for word in asked):
        text = _called(" ".join(tell(rng, cast, plot)), cast.hero, called, mine)
    return text


def _called(text: str, hero: str, called: str, mine: bool) -> str:
    """The story with `our Ana` or `my fox` for `the fox`."""
    if not called and not mine:
        return text
    owner, called = ("our", called) if called else ("my", hero)
    phrase = re.compile(rf"\b(an?|the) (\w+ )?{hero}\b", re.IGNORECASE)
    return phrase.sub(
        lambda found: f"{capital(owner) if found[1][0].isupper() else owner} {found[2] or ''}{called}", text
    )


def _named_subject(rng: random.Random, cast: Cast, called: str) -> tuple[str, tuple[str, ...]]:
    """What the prompt calls a hero who has a name, and the words that the story must therefore hold."""
    child = "daughter" if called in words.women() else "son"
    about = rng.choice(
        (
            *[called] * 3,
            f"little {called}",
            f"my {child} {called}",
            f"my friend {called}",
            f"{called} {relative(rng, person=True)}",
            f"{article(cast.hero)} named {called}",
            f"{article(cast.hero)} called {called}",
            f"{article(f'{cast.adjective} {cast.hero}')} named {called}",
        )
    )
    if rng.random() < _TWO_HEROES:
        return f"{about} and {article(cast.friend)}", (called, cast.friend)
    return about, (called,)


def _story_subject(rng: random.Random, cast: Cast) -> tuple[str, tuple[str, ...]]:
    """What the prompt says of the cast, and the words that the story must therefore hold."""
    hero = article(cast.hero)
    wordings = (
        (30, hero, (cast.hero,)),
        (6, cast.hero, (cast.hero,)),
        (6, f"the {cast.hero}", (cast.hero,)),
        (5, f"my {cast.hero}", (cast.hero,)),
        (18, article(f"{cast.adjective} {cast.hero}"), (cast.hero, cast.adjective)),
        (18, f"{hero} and {article(cast.friend)}", (cast.hero, cast.friend)),
        (4, f"{hero} who meets {article(cast.friend)}", (cast.hero, cast.friend)),
        (5, f"{hero} and {article(cast.thing)}", (cast.hero, cast.noun)),
        (5, f"{hero} and {article(cast.noun)}", (cast.hero, cast.noun)),
        (22, f"{hero} {words.place_phrase(cast.place)}", (cast.hero, cast.place)),
        (15, _in_company(rng, cast.hero), (cast.hero,)),
    )
    if words.is_common(cast.hero):
        wordings = (*wordings, (6, words.plural(cast.hero), (cast.hero,)))
    about, asked = _by_weight(rng, wordings)
    if about.startswith(("a ", "an ")) and about.endswith(asked[0]) and rng.random() < _RELATIVE:
        about = f"{about} {relative(rng)}"
    return about, asked


def _by_weight(
    rng: random.Random, wordings: Sequence[tuple[int, str, tuple[str, ...]]]
) -> tuple[str, tuple[str, ...]]:
    """One of the wordings for a hero, with the words that the story must therefore hold."""
    _, about, asked = rng.choices(wordings, [weight for weight, *_ in wordings])[0]
    return about, asked


def _in_company(rng: random.Random, noun: str) -> str:
    """A noun beside words that are no subject here: `my aunt's fox`, or as in `with_words`."""
    if rng.random() < 0.25:
        return f"{rng.choice(('my', 'the', 'our'))} {rng.choice(OWNERS)} {noun}"
    return with_words(rng, noun)


def with_words(rng: random.Random, noun: str) -> str:
    """A noun of which more is said that changes nothing: `a train fox`, `a fox who can sing`."""
    other = words.draw(rng, tuple(other for other in words.subjects() if other != noun))
    clause = " ".join(rng.choice(words.plain_words()) for _ in range(rng.randint(1, 4)))
    return rng.choice(
        (
            article(f"{other} {noun}"),
            f"{article(noun)} {rng.choice(('who', 'that', 'which'))} {clause}",
            f"{article(noun)} {relative(rng)}",
        )
    )


def long_story(rng: random.Random) -> Example:
    """Two canvases: five sentences in three paragraphs (64 tokens with the breaks), then a sequel."""
    cast = draw_cast(rng)
    plot = None
    pair = rng.random() < 0.5
    asked = (cast.hero, cast.friend) if pair else (cast.hero,)
    about = " and ".join(map(article, asked))
    if not pair and rng.random() < _TROUBLED:
        trouble, cast = draw_trouble(rng, cast)
        about, plot = f"{about} {clause(rng, trouble, cast)}", trouble.plot
        asked = (*asked, cast.matter) if holds(about, cast.matter) else asked
    cast = with_a(rng, cast, asked)
    one, two, three, four, five = tell(rng, cast, plot)
    answer = f"{one} {two}\n{three}\n{four} {five}\n{' '.join(tell_sequel(rng, cast))}"
    return Example("long story", request(rng, _LONG_KINDS, about), answer, asked)


def clause(rng: random.Random, trouble: Trouble, cast: Cast) -> str:
    """The trouble as it is said behind the hero."""
    return pick(rng, rng.choice(trouble.clauses)).format_map(cast.slots(rng))


@cache
def children() -> tuple[str, ...]:
    """Names that a child may have."""
    grown = ("Grandma", "Grandpa", "Mom", "Dad")
    return tuple(name for name in words.names() if words.is_first_name(name) and name not in grown)
