"""Stories, haiku, couplets, poems: how a prompt and its answer are drawn from the tables."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from dgemma_play.training.grammar import tables, verses, words
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
)
from dgemma_play.training.grammar.prompts import as_said, ask, invented_word, relative, request

_TWO_HEROES = 0.12  # share of the stories about somebody by name that have a friend in the prompt
_TWO_TOPICS = 0.22  # share of the verses about two things
_DESCRIBED = 0.35  # share of the topics of verses that are somebody's or have an adjective
_LONGEST_IN_HAIKU = 5  # syllables of what a haiku calls its topic
_UNKNOWN_SUBJECT = 0.04  # share of stories and verses asked about a word that nobody knows
_BY_NAME = 0.12  # share of stories and verses about somebody by name
_RELATIVE = 0.15  # share of the heroes of stories of whom more is said, that changes nothing
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
_JOINS = (" about ", " about ", " about ", " with ", " of ", " where you meet ")
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
    if rng.random() < _TROUBLED:
        return _story_of_trouble(rng, cast, called)
    about, asked = _named_subject(rng, cast, called) if called else _story_subject(rng, cast)
    if rng.random() < _UNKNOWN_SUBJECT:
        called, about, asked = "", article(invented_word(rng)), ()
    # A mood has one plot, in which no thing is sure to occur.
    mood = rng.choice(moods()) if rng.random() < _IN_A_MOOD and cast.noun not in asked else None
    prompt = _in_mood(rng, mood, about) if mood else ask(rng, "story", _KINDS, about, _JOINS)
    mine = about == f"my {cast.hero}"
    return Example("story", prompt, _told(rng, cast, called, mine, asked, mood and mood.plot), asked)


def _in_mood(rng: random.Random, mood: Mood, about: str) -> str:
    """A request for a story that names the mood: `a sad story about a fox`."""
    if rng.random() >= _MOOD_AS_KIND:
        return as_said(rng, rng.choice(mood.requests).format(x=about), about)
    kinds = ("a {} story", "a {} story", "a short {} story", "a {} little story", "a {} tale")
    said = with_articles(rng.choice(kinds).format(rng.choice(mood.words)))
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
    options = by_name if called else wordings
    _, about, asked = rng.choices(options, [weight for weight, *_ in options])[0]
    mine = about == f"my {cast.hero}"
    said = way.format(x=about, **cast.slots(rng))
    matter = (cast.matter,) if re.search("{b}|{aB}|{bP}", way) else ()
    asked = (called or cast.hero, *asked, *matter)
    if "{x}" in way:
        prompt = as_said(rng, said, about)
    else:
        if way.startswith("who ") and rng.random() < _TWO_TOPICS:
            # Not "and an owl": who lost her hat would have lost an owl as well.
            meets = "met" if _PAST.match(way) else "meets"
            said, asked = f"{said} and {meets} {article(cast.friend)}", (*asked, cast.friend)
        prompt = ask(rng, "story", _KINDS, f"{about} {said}", _JOINS)
    return Example("story", prompt, _told(rng, cast, called, mine, asked, trouble.plot), asked)


def _told(
    rng: random.Random, cast: Cast, called: str, mine: bool, asked: tuple[str, ...], plot: Plot | None
) -> str:
    """A story that holds what was asked for, of the plot or any.

    Its hero is `our Ana`, where it is called so, or `my fox`, where it is mine, wherever it was `the fox`.
    """
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
    _, about, asked = rng.choices(wordings, [weight for weight, *_ in wordings])[0]
    if about.startswith(("a ", "an ")) and about.endswith(asked[0]) and rng.random() < _RELATIVE:
        about = f"{about} {relative(rng)}"
    return about, asked


def _in_company(rng: random.Random, noun: str) -> str:
    """A noun beside words that are no subject here: `my aunt's fox`, or as in `_with_words`."""
    if rng.random() < 0.25:
        return f"{rng.choice(('my', 'the', 'our'))} {rng.choice(_OWNERS)} {noun}"
    return _with_words(rng, noun)


def _with_words(rng: random.Random, noun: str) -> str:
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
        about, plot = f"{about} {_clause(rng, trouble, cast)}", trouble.plot
        asked = (*asked, cast.matter) if holds(about, cast.matter) else asked
    one, two, three, four, five = tell(rng, cast, plot)
    kinds = ("a long story", "a longer story", "a very long story", "a story in two parts", "a long tale")
    answer = f"{one} {two}\n{three}\n{four} {five}\n{' '.join(tell_sequel(rng, cast))}"
    return Example("long story", request(rng, kinds, about), answer, asked)


def _clause(rng: random.Random, trouble: Trouble, cast: Cast) -> str:
    """The trouble as it is said behind the hero."""
    return pick(rng, rng.choice(trouble.clauses)).format_map(cast.slots(rng))


@dataclass(frozen=True)
class _Subject:
    """What a verse is about: the prompt calls it `about`, the verse `phrase`, with the words `asked`."""

    topic: str
    about: str
    phrase: str
    asked: tuple[str, ...]


def _verse_subject(rng: random.Random, topic: str | None = None, longest: int | None = None) -> _Subject:
    """The topic or any; described only in phrases of so many syllables."""
    unknown = rng.random() < _UNKNOWN_SUBJECT
    if not topic and not unknown and rng.random() < _BY_NAME:
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
        in_trouble = f"{article(topic)} {_clause(rng, trouble, cast)}"
        wordings += [article(topic), article(topic), _with_words(rng, topic), in_trouble]
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
    owner = rng.choice([owner for owner in _OWNERS if not verses.mentions(owner, topic)])
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


def _verse_subjects(
    rng: random.Random, topic: str | None = None, longest: int | None = None
) -> tuple[_Subject, ...]:
    """As `_verse_subject`, sometimes with a second one, in any order."""
    one = _verse_subject(rng, topic, longest)
    if not one.asked or rng.random() >= _TWO_TOPICS:
        return (one,)
    while True:
        pair = rng.sample((one, _verse_subject(rng, longest=longest)), 2)
        phrases = " ".join(subject.phrase for subject in pair)
        if all(subject.asked and verses.mentions(phrases, subject.topic) == 1 for subject in pair):
            return tuple(pair)


def _together(subjects: tuple[_Subject, ...]) -> tuple[tuple[str, ...], str, str, tuple[str, ...]]:
    """The topics, what the prompt and the verse call them, and the words that the verse must hold."""
    return (
        tuple(subject.topic for subject in subjects),
        " and ".join(subject.about for subject in subjects),
        " and ".join(subject.phrase for subject in subjects),
        tuple(word for subject in subjects for word in subject.asked),
    )


def _redrawn(draw: Callable[[], str], good: Callable[[str], bool]) -> str:
    """The first text drawn that is good."""
    text = draw()
    while not good(text):
        text = draw()
    return text


def _names_once(text: str, topics: tuple[str, ...]) -> bool:
    """Whether a text names each of the topics once; "The rain in the rain" does not."""
    return all(verses.mentions(text, topic) == 1 for topic in topics)


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
    """Three lines of 5, 7 and 5 syllables, about the topic or any, sometimes with another."""
    subjects = _verse_subjects(rng, topic, _LONGEST_IN_HAIKU)
    topics, about, phrase, asked = _together(subjects)
    first, *others = subjects
    if others:
        templates = verses.haiku_lines_for_two(first.topic, first.phrase, others[0].phrase)
    else:
        templates = verses.haiku_lines(first.topic, first.phrase)
    answer = _redrawn(
        lambda: "\n".join(capital(pick(rng, rng.choice(lines))) for lines in templates),
        lambda text: _names_once(text, topics) and verses.repeated(text) <= verses.repeated(phrase),
    )
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
    joins = (" about ", " with ", " on ") if others else (" about ", " about ", " on ")
    heading = rng.choice(("haiku", "haiku of two")) if others else "haiku"
    prompt = ask(rng, heading, kinds, about, joins)
    return Example("haiku", prompt, answer, asked)


def _head(rng: random.Random, phrase: str) -> str:
    (heads,) = tables.read("verse")["heads"]
    return pick(rng, rng.choice(heads)).format(t=phrase)


def couplet(rng: random.Random) -> Example:
    """Two lines that rhyme."""
    topics, about, phrase, asked = _together(_verse_subjects(rng))
    family = rng.choice(tuple(tables.read("rhymes")))
    answer = _redrawn(
        lambda: verses.couplet(rng, _head(rng, phrase), family, topics),
        lambda text: _names_once(text, topics),
    )
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
    topics, about, phrase, asked = _together(_verse_subjects(rng))
    families = tuple(tables.read("rhymes"))
    first = rng.randrange(len(families))
    second = (first + 1) % len(families)  # one choice fixes both rhymes, which is easier to learn
    (heads,) = tables.read("verse")["second heads"]
    answer = _redrawn(
        lambda: "\n".join(
            (
                verses.couplet(rng, _head(rng, phrase), families[first], topics),
                verses.couplet(rng, pick(rng, rng.choice(heads)), families[second], topics),
            )
        ),
        lambda text: _names_once(text, topics),
    )
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
