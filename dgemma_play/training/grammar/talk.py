"""Small talk, what the model cannot do, jokes and riddles: how they are drawn from the tables."""

from __future__ import annotations

import random
import re

from dgemma_play.training.grammar import tables, words
from dgemma_play.training.grammar.elastic import article, fit, pick, without_article
from dgemma_play.training.grammar.example import Example, renamed, shared
from dgemma_play.training.grammar.plots import draw_cast
from dgemma_play.training.grammar.prompts import in_other_words, invented_word, request, typed

# Tokens per slot.
CHAT_TOKENS = (9, 11)  # the answer, the offer
JOKE_TOKENS = (11, 9)
RIDDLE_TOKENS = 10

DECLINED = "no "  # how the headings of what the model cannot do begin
_DECLINED_SHARE = 0.65  # of the small talk
_OFTEN = ("no form", "no fact", "no answer")  # three times as often as other things that it cannot do
_GENTLY = ("sad", "awake", "nice", "no doctor")  # after these no bakery and no function is offered
_STRANGE_SHARE = 0.15  # of the things are invented words
_NOUN_SHARE = 0.45  # of the questions about a thing are about a noun: "what does a fox eat?"
_NO_ARTICLE = 0.15  # of the unknown forms are asked for as "essay about rain"
_THING_SHARE = 0.2  # of the unknown forms are to be about an unknown thing
_DRAWN = ("logo", "diagram", "poster")  # not written
# Of these the model knows some: "such letters" are beyond it, not letters.
_KNOWN_KINDS = ("list", "letter", "poem", "program", "function", "page", "question", "tale")
_ANYTHING = 0.3  # of the riddles are about anything, also what has no riddle of its own
_SEVERAL = 0.15  # of the jokes, and of the unknown forms, are asked for about cats, not about a cat
_TOPIC_SHARE = 0.3  # of the nouns asked about, and of the other unknown forms, are rain and its like
_UNNAMED = 0.25  # of the jokes and riddles are asked for without a subject
_OTHER_WORDS = 0.6  # of the others are asked for in their own way


def chat(rng: random.Random) -> Example:
    """Small talk, or what the model cannot do: a friendly reply that says what can be asked for."""
    if rng.random() < _DECLINED_SHARE:
        return _declined(rng)
    table = tables.read("chat")
    mood = rng.choice([heading for heading in table if len(table[heading]) > 1 and heading not in declines()])
    prompts, replies = table[mood]
    return _reply(rng, pick(rng, rng.choice(prompts)), replies, {}, offers=_offers(mood))


def declines() -> tuple[str, ...]:
    """The headings of `chat.txt` under which stands what the model cannot do."""
    return tuple(heading for heading in tables.read("chat") if heading.startswith(DECLINED))


def _declined(rng: random.Random) -> Example:
    """A request that is too big, and a reply that names it where it can."""
    table = tables.read("chat")
    heading = rng.choice((*_OFTEN * 2, *declines()))
    prompts, replies = table[heading]
    prompt = pick(rng, rng.choice(prompts))
    if heading == "no form":
        form = rng.choice(table["unknown forms"][0])
        verb, named = called(form)
        strange = rng.random() < _THING_SHARE
        subject = _thing(rng)[0] if strange else _subject(rng)
        about = subject if "{x}" in prompt and not strange else ""
        said = without_article(form) if rng.random() < _NO_ARTICLE else form
        return _reply(rng, prompt.format(k=said, x=subject), replies, {"v": verb, "f": named}, about)
    if heading == "no fact" and rng.random() < _NOUN_SHARE:
        prompt = rng.choice(table["noun questions"][0])
        thing, named = _noun(rng)
    else:
        thing, named = _thing(rng)
    numbers = {"n": rng.randint(2, 999), "m": rng.randint(2, 20), "o": rng.randint(2, 99)}
    return _reply(rng, prompt.format(x=thing, **numbers), replies, {"x": named}, offers=_offers(heading))


def _offers(heading: str) -> str:
    """The heading of what is offered behind a reply."""
    return "offer gently" if heading in _GENTLY else "offer"


def _reply(
    rng: random.Random,
    prompt: str,
    replies: tables.Group,
    slots: dict[str, str],
    about: str = "",
    offers: str = "offer",
) -> Example:
    """A prompt as people type it, one of the replies, and an offer, if possible about the same thing."""
    first, second = CHAT_TOKENS
    if about:
        offer = fit(rng, tables.read("chat")["offer about"][0], {"topic": about}, second)
    else:
        cast = draw_cast(rng)
        # Few of them: of many a small model offers one that is none ("about the swam").
        phrases = [phrase for phrase in words.topic_phrases() if phrase.startswith("the ")]
        others = {"hero": article(cast.hero), "thing": article(cast.noun), "friend": article(cast.friend)}
        offer = fit(rng, tables.read("chat")[offers][0], {"topic": rng.choice(phrases), **others}, second)
    answer = f"{fit(rng, replies, slots, first)} {offer}"
    named = f"{slots.get('f') or slots.get('x', '')} {about}"
    return Example("chat", typed(rng, prompt), answer, shared(prompt, answer, named))


def called(form: str) -> tuple[str, str]:
    """What cannot be done with an unknown form, and its name in two words: write, `an essay`.

    Several, or a special one of those that the model knows, are `such letters`.
    """
    head = re.split(r" (?:to|on|of|for|about|in|into|with|from) ", form)[0].split()[-1]
    verb = "draw" if head in _DRAWN else "write"
    if head in _KNOWN_KINDS:
        return verb, f"such {words.plural(head)}"
    return verb, article(head) if form.startswith(("a ", "an ")) else f"such {head}"


def _subject(rng: random.Random) -> str:
    """What an unknown form is to be about: "a fox", "the fox", "foxes", "rain", "the sea"."""
    if rng.random() < _SEVERAL:
        return words.plural(_one_of_several(rng))
    if rng.random() < _TOPIC_SHARE:
        return _topic(rng)
    hero = words.draw(rng, words.heroes())
    return rng.choice((article(hero), f"the {hero}"))


def _topic(rng: random.Random) -> str:
    """`rain`, `the sea`."""
    return rng.choice([phrase for phrase in words.topic_phrases() if phrase.count(" ") < 2])


def _noun(rng: random.Random) -> tuple[str, str]:
    """What a question is about that any noun fits, and how the answer names it."""
    if rng.random() < _TOPIC_SHARE:
        topic = _topic(rng)
        return topic, topic
    noun = words.draw(rng, words.heroes())
    return rng.choice((article(noun), f"the {noun}")), f"the {noun}"


def _thing(rng: random.Random) -> tuple[str, str]:
    """What a question is about, and how the answer names it: a long or strange one is just "that"."""
    if rng.random() < _STRANGE_SHARE:
        return invented_word(rng), "that"
    thing = rng.choice(tables.read("chat")["unknown things"][0])
    return thing, renamed(thing)


def joke(rng: random.Random) -> Example:
    """A joke about somebody: a question and its answer."""
    several = rng.random() < _SEVERAL
    table = tables.read("jokes")
    hero = _one_of_several(rng) if several else words.draw(rng, words.heroes())
    jokes = tuple(zip(table["questions"][0], table["answers"][0], strict=True))
    lines = zip(rng.choice(jokes), JOKE_TOKENS, strict=True)
    answer = " ".join(fit(rng, (line,), {"h": hero}, tokens) for line, tokens in lines)
    if rng.random() < _UNNAMED:
        return Example("joke", typed(rng, in_other_words(rng, "joke", "")), answer)
    if several:
        return Example("joke", _request(rng, "joke", words.plural(hero)), answer)
    return Example("joke", _request(rng, "joke", article(hero)), answer, (hero,))


def _one_of_several(rng: random.Random) -> str:
    """One of those about whom people ask in the plural."""
    return rng.choice(tables.words(tables.read("jokes")["in plural"][0]))


def riddle(rng: random.Random) -> Example:
    """A riddle about a thing, with its solution; one that knows no own words for it makes it easy."""
    things = tables.pairs(tables.read("riddles")["things"][0])
    others = [noun for noun in words.heroes() if noun not in things]
    strange = rng.random() < _ANYTHING
    thing = words.draw(rng, others) if strange else rng.choice(tuple(things))
    riddles = tables.read("riddles")["anything"][0] if strange else (things[thing],)
    line = fit(rng, riddles, {}, RIDDLE_TOKENS)
    answer = f"{line} What am I? The {thing}!"
    if not strange and rng.random() < _UNNAMED:
        return Example("riddle", typed(rng, in_other_words(rng, "riddle", "")), answer)
    about = rng.choice((f"the {thing}", thing if thing in words.uncountable() else article(thing)))
    return Example("riddle", _request(rng, "riddle", about), answer, (thing,))


def _request(rng: random.Random, kind: str, about: str) -> str:
    """A request for a joke or a riddle about something, more than half of them in wordings of their own."""
    if rng.random() < _OTHER_WORDS:
        return in_other_words(rng, f"{kind} about", about)
    return request(rng, (f"a {kind}", f"a short {kind}", f"a small {kind}"), about)
