"""Greetings, names, dialogues, small talk, code: how a prompt and its answer are drawn from the tables."""

from __future__ import annotations

import random
import re
from functools import cache, partial

from dgemma_play.training.grammar import snippets, tables, words
from dgemma_play.training.grammar.elastic import (
    article,
    capital,
    common_length,
    fit,
    length,
    pick,
    with_articles,
)
from dgemma_play.training.grammar.example import Example
from dgemma_play.training.grammar.plots import draw_cast, friends
from dgemma_play.training.grammar.prompts import ask, in_other_words, invented_word, request

_UNKNOWN_NAME = 0.2  # share of greetings for a name outside the list
_TWO_NAMES = 0.22  # share of greetings to two people
_NO_NAME = 0.28  # share of greetings to somebody, or to several, without a name
_UNNAMED = 0.6  # of these say themselves who it is, if there are such wordings
_SEVERAL = 0.25  # of these are to several
_ASKED_MOST = ("greeting", "birthday wish", "congratulation", "farewell")  # three times as often as others
_TO_A_PERSON = ("greet", "goodbye")  # code whose plain wordings ask for a card: "say hello to a friend"
_RARE_WAYS = {"code signature": 0.35, "code question": 0.3, "code named": 0.35}  # weights; of others 1
_AS_A_DEED = 0.3  # of the deeds are made of a result
_OTHER_ARGUMENTS = 0.5  # of the first lines have arguments of other names than the task's
_OTHER_NAME = 0.4  # of the functions whose name is given have one of another task
_MANNERS_SHARE = 0.2  # of the requests for code that end with a word get a stop or a courtesy
_UNTITLED = ("robot", "cat", "dog", "planet", "ice cream", "tea", "dragon")  # named without "The"
_NAMED_MOST = ("shop",)  # three times as often as others: what it sells is any of many
_ALIASES = {
    "café": ("café", "cafe", "coffee shop"),
    "bookshop": ("bookshop", "bookstore"),
    "ice cream": ("ice cream", "ice cream flavor"),
    "boat": ("boat", "ship", "sailing boat"),
    "cat": ("cat", "kitten"),
    "dog": ("dog", "puppy"),
    "spaceship": ("spaceship", "rocket"),
}

_GUESSES = ("What am I?", "Guess my name!", "Do you know?", "Who am I?")

# Tokens per slot of the forms with a fixed length.
ADVICE_TOKENS = 9
CHAT_TOKENS = (9, 11)  # the answer, the offer
DIALOGUE_TOKENS = (9, 9, 9)
ITEM_TOKENS = 6
RECIPE_TOKENS = (11, 8, 8)


def greeting(rng: random.Random) -> Example:
    """A greeting, wish, note or farewell. An unknown name becomes `friend`; for none see `_unnamed`."""
    table = tables.read("greetings")
    kind = rng.choice((*_ASKED_MOST * 2, *table))
    if rng.random() < _NO_NAME:
        prompt, called = _unnamed(rng, kind)
        asked = (called,) if called in _addresses() else ()
    else:
        known = rng.random() > _UNKNOWN_NAME
        about = rng.choice(words.names()) if known else invented_word(rng).capitalize()
        asked = (about,) if known else ()
        if known and rng.random() < _TWO_NAMES:
            asked = (about, rng.choice([other for other in words.names() if other != about]))
            about = " and ".join(asked)
        prompt, called = _greet(rng, kind, about, one=len(asked) < 2), about if known else "friend"
    slots = {"N": called}
    # Only how it begins has a slot, and two names are longer than one.
    spare = (length(slots["N"]) - 1, 0, 0)
    parts = [
        fit(rng, group, slots, common_length(group) + more)
        for group, more in zip(table[kind], spare, strict=True)
    ]
    return Example("greeting", prompt, " ".join(parts), asked)


def _greet(rng: random.Random, kind: str, about: str, one: bool) -> str:
    """A request for a kind of greeting; other wordings are about one person: "{x} turns six"."""
    kinds = (article(kind), article(kind), f"a short {kind}", kind)
    wording = partial(ask, heading=kind) if one else request
    return wording(rng, kinds=kinds, about=about, joins=(" for ", " for ", " to "))


def _unnamed(rng: random.Random, kind: str) -> tuple[str, str]:
    """A request for a greeting to somebody without a name, and what the greeting calls them."""
    several = rng.random() < _SEVERAL
    heading = f"{kind} unnamed" + " plural" * several
    if heading in tables.read("asks") and rng.random() < _UNNAMED:
        prompt = in_other_words(rng, heading, "")
    else:
        persons = tables.read("lists")["several persons" if several else "one person"][0]
        prompt = _greet(rng, kind, rng.choice(persons), one=not several)
    return prompt, "friends" if several else _called(prompt)


def _called(prompt: str) -> str:
    """What the one person of a prompt is called: *my uncle* `uncle`, *my wife* `darling`, others `friend`."""
    addresses = _addresses()
    meant = {addresses[word] for word in re.findall(r"[a-z]+", prompt.lower()) if word in addresses}
    return meant.pop() if len(meant) == 1 else "friend"


@cache
def _addresses() -> dict[str, str]:
    return tables.pairs(tables.read("lists")["addresses"][0])


def name(rng: random.Random) -> Example:
    """A name with a tagline; that of a shop says what it sells."""
    table = tables.read("named")
    kind = rng.choice((*_NAMED_MOST * 2, *table))
    first, second, taglines = table[kind]
    sold = rng.choice(_sold()) if kind == "shop" else ""
    alias = rng.choice(_shops(sold) if sold else _ALIASES.get(kind, (kind,)))
    a = article(alias)
    prompt = rng.choice(tables.read("asks")["name"][0]).format(x=alias, a=a)
    prompt = capital(prompt) if rng.random() < 0.5 else prompt
    end = "" if prompt.endswith(("?", "!")) else rng.choice((".", "", ""))
    title = "" if kind in _UNTITLED else "The "
    title += f"{rng.choice(tables.words(first))} {rng.choice(tables.words(second)).format(X=capital(sold))}"
    tagline = fit(rng, taglines, {"x": sold}, common_length(taglines))
    return Example("name", prompt + end, f"{title}: {tagline}", (sold,) if sold else ())


@cache
def _sold() -> tuple[str, ...]:
    """What shops sell: things and food that are words of the vocabulary with a capital, too."""
    kins = words.kins()
    return words.by_rarity((*kins["things"].members, *kins["food"].members))[0]


def _shops(sold: str) -> tuple[str, ...]:
    """What such a shop may be called: `umbrella shop`, `shop for umbrellas`."""
    goods = words.plural(sold)
    sells = ("for", "of", "full of", "that sells", "selling")
    return (
        *[f"{sold} {shop}" for shop in ("shop", "shop", "store")],
        *[f"shop {how} {goods}" for how in sells],
    )


def opening(rng: random.Random) -> Example:
    """The first sentence of a novel."""
    hero = words.draw(rng, words.subjects())
    time, deed, result = (pick(rng, rng.choice(group)) for (group,) in tables.read("openings").values())
    kinds = (
        *("the opening line of a story", "an opening line", "the first sentence of a novel"),
        *("a first line", "the opening of a novel", "the first line of a book"),
        *("the start of a novel", "the very first line", "the beginning of a book"),
    )
    about = rng.choice((article(hero), f"the {hero}"))
    return Example(
        "opening", ask(rng, "opening", kinds, about), f"{time} the {hero} {deed}, {result}.", (hero,)
    )


def dialogue(rng: random.Random) -> Example:
    """Three turns between two heroes; the third speaker is the first again."""
    hero = words.draw(rng, friends())
    other = words.draw(rng, tuple(friend for friend in friends() if friend != hero))
    topic = rng.choice(tuple(tables.read("dialogues").values()))
    asked, said, last = (
        fit(rng, group, {}, tokens) for group, tokens in zip(topic, DIALOGUE_TOKENS, strict=True)
    )
    # The speakers stand in the words of the prompt, which is easier to learn than a label with a capital.
    answer = f'"{asked}" asks the {hero}.\n"{said[:-1]}," says the {other}.\n"{last}"'
    kinds = ("a dialogue", "a conversation", "a short dialogue", "a talk", "a little dialogue", "a chat")
    pair = rng.choice((f"{article(hero)} and {article(other)}", f"the {hero} and the {other}"))
    prompt = ask(rng, "dialogue", kinds, pair, (" between ", " between ", " of ", " with "))
    return Example("dialogue", prompt, answer, (hero, other))


def advice(rng: random.Random) -> Example:
    """Two pieces of advice from a hero."""
    hero = words.draw(rng, words.subjects())
    one, two = (fit(rng, group, {}, ADVICE_TOKENS) for group in tables.read("short")["advice"])
    kinds = ("advice", "some advice", "a piece of advice", "wise words", "good advice", "life advice")
    prompt = ask(rng, "advice", kinds, article(hero), (" from ",), patterns=False)
    return Example("advice", prompt, f"The {hero} says: {one} {two}", (hero,))


def items(rng: random.Random) -> Example:
    """A list of three things.

    Each line has its own third of the table: a model that draws all lines at once may say one thing twice.
    """
    hero = words.draw(rng, words.subjects())
    things = tables.read("short")["items"][0]
    lines = [capital(fit(rng, things[line::3], {}, ITEM_TOKENS)) for line in range(3)]
    answer = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    where = rng.choice(("pocket", "bag", "suitcase", "drawer", "house"))
    kinds = ("three things", "a list of three things", "a list of things", "a short list of things")
    return Example(
        "list", request(rng, kinds, f"the {where} of {article(hero)}", (" in ",), patterns=False), answer
    )


def recipe(rng: random.Random) -> Example:
    """How to make a feeling."""
    groups = zip(tables.read("short")["recipe"], RECIPE_TOKENS, strict=True)
    answer = " ".join(fit(rng, group, {}, tokens) for group, tokens in groups)
    feeling = rng.choice(tables.words(tables.read("short")["feelings"][0]))
    kinds = ("a recipe", "a short recipe", "a little recipe")
    return Example("recipe", request(rng, kinds, feeling, (" for ",), patterns=False), answer)


def riddle(rng: random.Random) -> Example:
    """A riddle about a thing."""
    riddles = tables.pairs(tables.read("short")["riddles"][0])
    thing = rng.choice(tuple(riddles))
    about = rng.choice((f"the {thing}", article(thing), thing))
    prompt = request(rng, ("a riddle", "a short riddle", "a small riddle"), about)
    return Example("riddle", prompt, f"{pick(rng, riddles[thing])} {rng.choice(_GUESSES)}")


def chat(rng: random.Random) -> Example:
    """Small talk, or a question that is too big: a friendly reply that says what can be asked for."""
    table = tables.read("chat")
    mood = rng.choice(
        ("hello", "mood", "who", "thanks", "bye", "idea", *["form"] * 3, "unknown", "unknown", "unknown")
    )
    prompts, replies = table[mood]
    prompt = rng.choice(prompts)
    cast = draw_cast(rng)
    if mood == "form":
        kind = rng.choice(table["unknown forms"][0])
        prompt = prompt.format(k=kind, x=rng.choice((article(cast.hero), cast.hero, f"the {cast.hero}")))
        prompt = capital(prompt) if rng.random() < 0.6 else prompt
    if mood == "unknown":
        thing = rng.choice(table["unknown things"][0]) if rng.random() < 0.75 else invented_word(rng)
        prompt = prompt.format(x=thing)
        prompt = prompt if rng.random() < 0.7 else prompt.lower()
    # Few of them: of many a small model offers one that is none ("about the swam").
    phrases = [phrase for phrase, _ in words.plain_topics().values() if phrase.startswith("the ")]
    slots = {"topic": rng.choice(phrases), "hero": article(cast.hero), "thing": article(cast.noun)}
    first, second = CHAT_TOKENS
    answer = f"{fit(rng, replies, {}, first)} {fit(rng, table['offer'][0], slots, second)}"
    return Example("chat", prompt, answer)


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
