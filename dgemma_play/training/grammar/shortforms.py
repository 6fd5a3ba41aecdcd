"""Openings, dialogues, advice: how a prompt and its answer are drawn from the tables."""

from __future__ import annotations

import random

from dgemma_play.training.grammar import tables, words
from dgemma_play.training.grammar.elastic import article, capital, fit, pick, with_articles
from dgemma_play.training.grammar.example import Example
from dgemma_play.training.grammar.plots import friends
from dgemma_play.training.grammar.prompts import as_said, ask, in_other_words, request

_OF_A_GENRE, _IN_A_PLACE = 0.3, 0.3  # shares of the first lines
_HERO_NAMED = 0.6  # of the requests for a first line of a genre or in a place; of others all
_OWN_PLACES = 0.4  # of these places are such as only first lines have
_NOVELS = ("novel", "story", "book")
_OPENINGS = (
    *("the opening line of a story", "an opening line", "the first sentence of a novel", "a first line"),
    *("the opening of a novel", "the first line of a book", "the start of a novel", "the very first line"),
    "the beginning of a book",
)
_ABOUT_A_TOPIC = 0.5  # share of the dialogues
_TOPIC_IN_OTHER_WORDS = 0.5  # of these are asked for in a way that names the topic otherwise
_NAMED_TOPIC = 0.6  # share of the topics that are no subject of verses

# Tokens per slot of the forms with a fixed length.
ADVICE_TOKENS = 9
DIALOGUE_TOKENS = (9, 9, 9)


def opening(rng: random.Random) -> Example:
    """The first sentence of a novel about a hero, of a kind or in a place."""
    hero = words.draw(rng, words.heroes())
    of_genre, placed = rng.random() < _OF_A_GENRE, rng.random() < _IN_A_PLACE
    named = rng.random() < _HERO_NAMED or not (of_genre or placed)
    parts = tables.read("openings")
    names, ends = rng.choice(tuple(tables.read("genres").values())) if of_genre else ((), parts["results"][0])
    time, deed, end = (pick(rng, rng.choice(group)) for group in (parts["times"][0], parts["deeds"][0], ends))
    place = _novel_place(rng) if placed else ""
    about = rng.choice((article(hero), f"the {hero}")) if named else ""
    where = words.place_phrase(place) if placed else ""
    prompt = _opening_request(rng, about, where, names or _NOVELS if of_genre or not named else ())
    begin = f"{capital(where)}, {time[0].lower()}{time[1:]}" if placed else time
    asked = tuple(word for word, said in ((hero, named), (place, placed)) if said)
    return Example("opening", prompt, f"{begin} the {hero} {deed}, {end}.", asked)


def _opening_request(rng: random.Random, about: str, where: str, novels: tuple[str, ...]) -> str:
    """A request for a first line about somebody in a place, or for one of such a novel."""
    if not novels:
        return ask(rng, "opening", _OPENINGS, f"{about} {_somewhere(rng, where)}".strip())
    novel = article(rng.choice(novels)) + (f" about {about}" if about else "")
    return in_other_words(rng, "opening of", f"{novel} {_somewhere(rng, where)}".strip())


def _novel_place(rng: random.Random) -> str:
    """A place of the stories, or one of those that only first lines have."""
    own = tables.words(tables.read("openings")["places"][0])
    return rng.choice(own if rng.random() < _OWN_PLACES else words.everywhere()[1])


def _somewhere(rng: random.Random, where: str) -> str:
    """A place as a request has it: `in the library`, `in a library`, `set in a library`."""
    if not where:
        return ""
    said = with_articles(where.replace(" the ", " a ")) if rng.random() < 0.5 else where
    return f"set {said}" if rng.random() < 0.2 else said


def dialogue(rng: random.Random) -> Example:
    """Three turns between two heroes, sometimes about a topic; the third speaker is the first again."""
    hero = words.draw(rng, friends())
    other = words.draw(rng, tuple(friend for friend in friends() if friend != hero))
    pair = rng.choice((f"{article(hero)} and {article(other)}", f"the {hero} and the {other}"))
    about = rng.random() < _ABOUT_A_TOPIC
    topic = _topic(rng, (hero, other)) if about else ""
    talk = rng.choice(tuple(tables.read("talks" if about else "dialogues").values()))
    # A topic counts as one word, however many it has: all lines are equally long but for it.
    asked, said, last = (
        fit(rng, group, {"t": "TOPIC"}, tokens).replace("TOPIC", topic)
        for group, tokens in zip(talk, DIALOGUE_TOKENS, strict=True)
    )
    # The speakers stand in the words of the prompt, which is easier to learn than a label with a capital.
    answer = f'"{asked}" asks the {hero}.\n"{said[:-1]}," says the {other}.\n"{last}"'
    kinds = ("a dialogue", "a conversation", "a short dialogue", "a talk", "a little dialogue", "a chat")
    joins = (" between ", " between ", " of ", " with ")
    if not about:
        return Example("dialogue", ask(rng, "dialogue", kinds, pair, joins), answer, (hero, other))
    if rng.random() < _TOPIC_IN_OTHER_WORDS:
        way = pick(rng, rng.choice(tables.read("asks")["dialogue about"][0]))
        prompt = as_said(rng, way.format(x=pair, t=topic), pair)
    else:
        prompt = request(rng, kinds, f"{pair} about {topic}", joins, patterns=False)
    return Example("dialogue", prompt, answer, (hero, other, topic))


def _topic(rng: random.Random, speakers: tuple[str, ...]) -> str:
    """What two may talk about: `cheese`, `the sea`, `hats`."""
    named = tables.words(tables.read("lists")["talk topics"][0])
    topics = named if rng.random() < _NAMED_TOPIC else words.topic_phrases()
    return rng.choice([topic for topic in topics if topic not in speakers])


def advice(rng: random.Random) -> Example:
    """Two pieces of advice from a hero."""
    hero = words.draw(rng, words.heroes())
    one, two = (fit(rng, group, {}, ADVICE_TOKENS) for group in tables.read("short")["advice"])
    kinds = ("advice", "some advice", "a piece of advice", "wise words", "good advice", "life advice")
    prompt = ask(rng, "advice", kinds, article(hero), (" from ",), patterns=False)
    return Example("advice", prompt, f"The {hero} says: {one} {two}", (hero,))
