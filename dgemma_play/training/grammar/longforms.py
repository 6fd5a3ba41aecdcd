"""Stories, haiku, couplets, poems: how a prompt and its answer are drawn from the tables."""

from __future__ import annotations

import random
import re
from functools import cache

from dgemma_play.training.grammar import tables, verses, words
from dgemma_play.training.grammar.elastic import article, capital, pick
from dgemma_play.training.grammar.example import Example, holds
from dgemma_play.training.grammar.plots import Cast, draw_cast, settle, tell, tell_sequel
from dgemma_play.training.grammar.prompts import ask, invented_word, relative, request

_TWO_TOPICS = 0.12  # share of the rhymed verses about two things
_UNKNOWN_SUBJECT = 0.04  # share of stories and verses asked about a word that nobody knows
_BY_NAME = 0.12  # share of stories and verses about somebody by name
_RELATIVE = 0.15  # share of the heroes of stories of whom more is said, that changes nothing
_FAMILY = frozenset(
    (
        *("mother", "father", "grandmother", "grandfather", "sister", "brother"),
        *("aunt", "uncle", "cousin", "daughter", "son", "neighbor", "friend"),
    )
)
_MY_FAMILY = 20  # how often a story is about *my* mother, in the scale of `_story_subject`
_CHILDREN = {"she": "girl", "he": "boy"}
_OWNERS = (
    "aunt's",
    "brother's",
    "friend's",
    "grandmother's",
    "mother's",
    "neighbor's",
    "neighbour's",
    "sister's",
)


def story(rng: random.Random) -> Example:
    """Five sentences about a hero and a friend, sometimes with a thing or place that the prompt names."""
    called = rng.choice(_heroes_names()) if rng.random() < _BY_NAME else ""
    cast = draw_cast(rng, _CHILDREN[words.pronouns(called)["s"]] if called else "")
    about, asked = _named_subject(rng, cast, called) if called else _story_subject(rng, cast)
    if rng.random() < _UNKNOWN_SUBJECT:
        called, about, asked = "", article(invented_word(rng)), ()
    whose = None
    if called:
        whose = ("our", called)
    elif about == f"my {cast.hero}":
        whose = ("my", cast.hero)
    kinds = (
        *("a story", "a short story", "a tiny story", "a little story", "a bedtime story", "a tale"),
        *("a small story", "a story to read in bed", "a fairy tale", "some story", "a nice story"),
        "a quick story",
    )
    joins = (" about ", " about ", " about ", " with ", " of ", " where you meet ")
    answer = _told(rng, settle(rng, cast, asked), whose)
    while not all(holds(answer, word) for word in asked):
        answer = _told(rng, settle(rng, cast, asked), whose)
    return Example("story", ask(rng, "story", kinds, about, joins), answer, asked)


def _told(rng: random.Random, cast: Cast, whose: tuple[str, str] | None) -> str:
    """A story of the cast; with `whose` its hero is `our Ana` or `my fox` wherever it was `the fox`."""
    text = " ".join(tell(rng, cast))
    if whose is None:
        return text
    owner, called = whose
    phrase = re.compile(rf"\b(an?|the) (\w+ )?{cast.hero}\b", re.IGNORECASE)
    return phrase.sub(
        lambda found: f"{capital(owner) if found[1][0].isupper() else owner} {found[2] or ''}{called}", text
    )


def _named_subject(rng: random.Random, cast: Cast, called: str) -> tuple[str, tuple[str, ...]]:
    """What the prompt calls a hero who has a name, and the words that the story must therefore hold."""
    child = "daughter" if called in words.women() else "son"
    of_some_kind = f"{article(f'{cast.adjective} {cast.hero}')} named {called}"
    about = rng.choice(
        (
            *[called] * 3,
            f"little {called}",
            f"my {child} {called}",
            f"my friend {called}",
            f"{called} {relative(rng, person=True)}",
            f"{article(cast.hero)} named {called}",
            f"{article(cast.hero)} called {called}",
            of_some_kind,
        )
    )
    asked = (called, cast.adjective) if about == of_some_kind else (called,)
    if rng.random() < _TWO_TOPICS:
        return f"{about} and {article(cast.friend)}", (*asked, cast.friend)
    return about, asked


def _story_subject(rng: random.Random, cast: Cast) -> tuple[str, tuple[str, ...]]:
    """What the prompt says of the cast, and the words that the story must therefore hold."""
    hero = article(cast.hero)
    wordings = (
        (30, hero, (cast.hero,)),
        (6, cast.hero, (cast.hero,)),
        (6, f"the {cast.hero}", (cast.hero,)),
        (_MY_FAMILY if cast.hero in _FAMILY else 7, f"my {cast.hero}", (cast.hero,)),
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
    _, about, asked = rng.choices(wordings, [weight for weight, *_ in wordings])[0]
    if about.startswith(("a ", "an ")) and about.endswith(asked[0]) and rng.random() < _RELATIVE:
        about = f"{about} {relative(rng)}"
    return about, asked


def _in_company(rng: random.Random, noun: str) -> str:
    """A noun beside words that are no subject here: `my aunt's fox`, `a train fox`, `a fox who can sing`."""
    other = words.draw(rng, tuple(other for other in words.subjects() if other != noun))
    clause = " ".join(rng.choice(words.plain_words()) for _ in range(rng.randint(1, 4)))
    return rng.choice(
        (
            f"{rng.choice(('my', 'the', 'our'))} {rng.choice(_OWNERS)} {noun}",
            article(f"{other} {noun}"),
            f"{article(noun)} {rng.choice(('who', 'that', 'which'))} {clause}",
            f"{article(noun)} {relative(rng)}",
        )
    )


def long_story(rng: random.Random) -> Example:
    """Two canvases: five sentences in three paragraphs (64 tokens with the breaks), then a sequel."""
    cast = draw_cast(rng)
    pair = rng.random() < 0.5
    asked = (cast.hero, cast.friend) if pair else (cast.hero,)
    cast = settle(rng, cast, asked)
    one, two, three, four, five = tell(rng, cast)
    about = " and ".join(map(article, asked))
    kinds = ("a long story", "a longer story", "a very long story", "a story in two parts", "a long tale")
    answer = f"{one} {two}\n{three}\n{four} {five}\n{' '.join(tell_sequel(rng, cast))}"
    return Example("long story", request(rng, kinds, about), answer, asked)


def _verse_subject(rng: random.Random, topic: str | None = None) -> tuple[str, str, tuple[str, ...]]:
    """The topic or any, what the prompt calls it, and the words that the verse must hold."""
    unknown = rng.random() < _UNKNOWN_SUBJECT
    if not topic and not unknown and rng.random() < _BY_NAME:
        topic = rng.choice(names_in_verse())
    topic = topic or words.draw(rng, words.verse_topics() if rng.random() < 0.7 else words.plain_topics())
    if unknown:
        return topic, rng.choice((invented_word(rng), article(invented_word(rng)))), ()
    phrase, _ = words.verse_topic(topic)
    wordings = [phrase, phrase, topic, f"the {topic}"] if topic.islower() else [phrase]
    if words.is_first_name(topic):
        wordings += [f"my friend {topic}", f"{topic} {relative(rng, person=True)}", phrase]
    if topic in words.subjects():
        wordings += [article(topic), article(topic), f"my {topic}", _in_company(rng, topic)]
    if words.is_common(topic):
        wordings += [words.plural(topic)]
    return topic, rng.choice(wordings), (topic,)


@cache
def _heroes_names() -> tuple[str, ...]:
    """Names that a child may have."""
    grown = ("Grandma", "Grandpa", "Mom", "Dad")
    return tuple(name for name in words.names() if words.is_first_name(name) and name not in grown)


@cache
def names_in_verse() -> tuple[str, ...]:
    """Names whose syllables the rule counts: not those with two vowels in a row (Mia, Leo, Paul)."""
    return tuple(name for name in _heroes_names() if not re.search("[aeiouy]{2}", name.lower()))


def haiku(rng: random.Random, topic: str | None = None) -> Example:
    """Three lines of 5, 7 and 5 syllables, about the topic or any."""
    topic, about, asked = _verse_subject(rng, topic)
    answer = "\n".join(capital(pick(rng, rng.choice(lines))) for lines in verses.haiku_lines(topic))
    kinds = (
        "a haiku",
        "a haiku",
        "a haiku",
        "a short haiku",
        "haiku",
        "a three line poem",
        "a Japanese poem",
        "a poem in three lines",
        "a haiku poem",
        "three short lines",
        "a poem of seventeen syllables",
        "a poem with five, seven and five syllables",
    )
    prompt = ask(rng, "haiku", kinds, about, (" about ", " about ", " on "))
    return Example("haiku", prompt, answer, asked)


def _rhymed_subject(rng: random.Random) -> tuple[tuple[str, ...], str, str, tuple[str, ...]]:
    """As `_verse_subject`, sometimes with two topics; and the phrase that the verse opens with."""
    topic, about, asked = _verse_subject(rng)
    phrase, _ = words.verse_topic(topic)
    other, other_about, other_asked = _verse_subject(rng)
    if asked and other_asked and other != topic and rng.random() < _TWO_TOPICS:
        phrase = f"{phrase} and {words.verse_topic(other)[0]}"
        return (topic, other), f"{about} and {other_about}", phrase, (topic, other)
    return (topic,), about, phrase, asked


def _head(rng: random.Random, phrase: str) -> str:
    (heads,) = tables.read("verse")["heads"]
    return pick(rng, rng.choice(heads)).format(t=phrase)


def couplet(rng: random.Random) -> Example:
    """Two lines that rhyme."""
    topics, about, phrase, asked = _rhymed_subject(rng)
    answer = verses.couplet(rng, _head(rng, phrase), rng.choice(tuple(tables.read("rhymes"))), topics)
    if rng.random() < 0.12 and asked:
        lead = rng.choice(
            ("Finish the rhyme: ", "Complete the couplet: ", "Continue: ", "finish this rhyme: ")
        )
        return Example("couplet", lead + answer.split("\n")[0], answer, asked)
    kinds = (
        *("two lines that rhyme", "two rhyming lines", "a couplet", "a rhyme"),
        *(
            "a two line poem",
            "a rhyming couplet",
            "a short rhyme",
            "a rhyme in two lines",
            "two lines of rhyme",
        ),
        *("something that rhymes", "a quick rhyme", "a little rhyme"),
    )
    return Example("couplet", ask(rng, "couplet", kinds, about), answer, asked)


def poem(rng: random.Random) -> Example:
    """Two couplets."""
    topics, about, phrase, asked = _rhymed_subject(rng)
    families = tuple(tables.read("rhymes"))
    first = rng.randrange(len(families))
    second = (first + 1) % len(families)  # one choice fixes both rhymes, which is easier to learn
    (heads,) = tables.read("verse")["second heads"]
    opening_couplet = verses.couplet(rng, _head(rng, phrase), families[first], topics)
    closing_couplet = verses.couplet(rng, pick(rng, rng.choice(heads)), families[second], topics)
    answer = f"{opening_couplet}\n{closing_couplet}"
    kinds = (
        "a poem",
        "a short poem",
        "a little poem",
        "a rhyming poem",
        "four lines that rhyme",
        "some verses",
        "a poem that rhymes",
        "four rhyming lines",
        "four lines of verse",
        "a verse or two",
        "a song",
    )
    return Example("poem", ask(rng, "poem", kinds, about), answer, asked)
