"""Openings, dialogues, advice, code: how a prompt and its answer are drawn from the tables."""

from __future__ import annotations

import random

from dgemma_play.training.grammar import snippets, tables, words
from dgemma_play.training.grammar.elastic import (
    article,
    capital,
    fit,
    pick,
    with_articles,
)
from dgemma_play.training.grammar.example import Example
from dgemma_play.training.grammar.plots import friends
from dgemma_play.training.grammar.prompts import as_said, ask, in_other_words, request

_TO_A_PERSON = ("greet", "goodbye")  # code whose plain wordings ask for a card: "say hello to a friend"
_RARE_WAYS = {"code signature": 0.35, "code question": 0.3, "code named": 0.35}  # weights; of others 1
_AS_A_DEED = 0.3  # of the deeds are made of a result
_OTHER_ARGUMENTS = 0.5  # of the first lines have arguments of other names than the task's
_OTHER_NAME = 0.4  # of the functions whose name is given have one of another task
_MANNERS_SHARE = 0.2  # of the requests for code that end with a word get a stop or a courtesy
_OF_A_GENRE, _IN_A_PLACE = 0.3, 0.3  # shares of the first lines
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
    named = rng.random() < 0.6 or not (of_genre or placed)
    parts = tables.read("openings")
    names, ends = rng.choice(tuple(tables.read("genres").values())) if of_genre else ((), parts["results"][0])
    time, deed, end = (pick(rng, rng.choice(group)) for group in (parts["times"][0], parts["deeds"][0], ends))
    place = _novel_place(rng) if placed else ""
    about = rng.choice((article(hero), f"the {hero}")) if named else ""
    where = words.place_phrase(place) if placed else ""
    if of_genre or not named:
        novel = article(rng.choice(names or ("novel", "story", "book")))
        novel += f" about {about}" if named else ""
        prompt = in_other_words(rng, "opening of", f"{novel} {_somewhere(rng, where)}".strip())
    else:
        kinds = (
            *("the opening line of a story", "an opening line", "the first sentence of a novel"),
            *("a first line", "the opening of a novel", "the first line of a book"),
            *("the start of a novel", "the very first line", "the beginning of a book"),
        )
        prompt = ask(rng, "opening", kinds, f"{about} {_somewhere(rng, where)}".strip())
    begin = f"{capital(where)}, {time[0].lower()}{time[1:]}" if placed else time
    asked = (*((hero,) if named else ()), *((place,) if placed else ()))
    return Example("opening", prompt, f"{begin} the {hero} {deed}, {end}.", asked)


def _novel_place(rng: random.Random) -> str:
    """A place of the stories, or one of those that only first lines have."""
    own = tables.words(tables.read("openings")["places"][0])
    return rng.choice(own if rng.random() < 0.4 else words.everywhere()[1])


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
    phrases = tuple(phrase for phrase, _ in words.plain_topics().values())
    topics = named if rng.random() < _NAMED_TOPIC else phrases
    return rng.choice([topic for topic in topics if topic not in speakers])


def advice(rng: random.Random) -> Example:
    """Two pieces of advice from a hero."""
    hero = words.draw(rng, words.heroes())
    one, two = (fit(rng, group, {}, ADVICE_TOKENS) for group in tables.read("short")["advice"])
    kinds = ("advice", "some advice", "a piece of advice", "wise words", "good advice", "life advice")
    prompt = ask(rng, "advice", kinds, article(hero), (" from ",), patterns=False)
    return Example("advice", prompt, f"The {hero} says: {one} {two}", (hero,))


def code(rng: random.Random) -> Example:
    """A short Python function, asked for by what it does, gives or is called, a question or a first line."""
    tasks = snippets.tasks()
    task = rng.choices(tasks, [len(task.deeds) + len(task.results) for task in tasks])[0]
    deed = pick(rng, rng.choice(task.deeds))
    ways = snippets.ways(deed) | {"code named": "", "code signature": ""}
    if task.results:
        ways["code result"] = result = pick(rng, rng.choice(task.results))
        if rng.random() < _AS_A_DEED:
            ways["code that"] = snippets.as_deed(result) or deed
    if task.functions[0] in _TO_A_PERSON:
        ways = {way: said for way, said in ways.items() if way not in ("code to", "code result")}
    way = rng.choices(tuple(ways), [_RARE_WAYS.get(way, 1.0) for way in ways])[0]
    function = _function_name(rng, task, way)
    answer = rng.choice(task.codes(function))
    if way == "code signature" and rng.random() < _OTHER_ARGUMENTS:
        answer = task.code_with(function, snippets.argument_names(), rng)
    ways |= {"code named": f"{function} that {deed}", "code signature": answer.partition("\n")[0]}
    prompt = with_articles(in_other_words(rng, way, ways[way]))
    polite = prompt.endswith(("please", "thanks"))
    if way != "code signature" and prompt[-1].isalpha() and not polite and rng.random() < _MANNERS_SHARE:
        prompt += rng.choice((".", "!", " please", ", please", ", thanks", " pls"))
    return Example("code", prompt, answer)


def _function_name(rng: random.Random, task: snippets.Task, way: str) -> str:
    """A name of the task's. Where it is given it may be any; where it stands twice and is not, one alone."""
    if way == "code named" and rng.random() < _OTHER_NAME:
        return rng.choice(rng.choice(snippets.tasks()).functions)
    if task.calls_itself() and way not in ("code named", "code signature"):
        return task.functions[0]
    return rng.choice(task.functions)
