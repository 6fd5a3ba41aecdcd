"""Measures of texts that know the corpus: form, subject, familiarity. Strings in, shares and verdicts out.

Measures that know nothing of it stand in `readability`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from functools import cache

from dgemma_play.training import readability
from dgemma_play.training.grammar import elastic, snippets, tables, verses, words
from dgemma_play.training.grammar.example import Example, holds
from dgemma_play.training.grammar.verses import last_word

_VERSE = ("haiku", "couplet", "poem")


def kept(text: str, asked: Sequence[str]) -> bool:
    """Whether all asked words stand in the text."""
    return all(holds(text, word) for word in asked)


def meets_itself(text: str, asked: Sequence[str]) -> bool:
    """Whether a story's hero comes in again as somebody new: *a fox came in*, *the fox gave the fox a chair*.

    The hero is the first of the asked words that is no adjective. Stories about a name are not judged.
    """
    hero = next((re.escape(word) for word in asked if word not in words.everywhere()[0]), None)
    if hero is None or set(asked) & set(words.names()):
        return False
    introduced = re.compile(rf"\ban? (\w+ )?{hero}\b")
    text = text.lower()
    return (
        len(introduced.findall(text)) > 1
        or introduced.search(text.partition(".")[2]) is not None
        or re.search(rf"\bthe {hero}\b[^.!?]*\bthe {hero}\b", text) is not None
    )


def filled(text: str, sentence: Sequence[str]) -> bool:
    """Whether a text is the sentence, word for word, with one or two words in the place of `_`.

    Only commas may stand between, a full stop or its like behind; no word stands twice in a row.
    """
    gap = r"(?!blank\b)[a-z][a-z']*(?: [a-z][a-z']*)?"
    words = (gap if word == "_" else re.escape(word.lower()) for word in sentence)
    whole = re.fullmatch(rf"{',? '.join(words)}[.!?]?", text.lower())
    return whole is not None and readability.doubled_share(text) == 0


def solves(text: str, task: str) -> bool:
    """Whether a text is the grammar's code for a task, whatever names it uses."""
    wanted = (other.all_codes()[0] for other in snippets.tasks() if other.functions[0] == task)
    return has_form("code", text) and _unnamed(text) in map(_unnamed, wanted)


def _unnamed(code: str) -> str:
    """Code with numbers for the names that it chooses: the function's, its arguments', its variables'."""
    tree = ast.parse(code)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names.setdefault(node.name, f"_{len(names)}")
        elif isinstance(node, ast.arg):
            names.setdefault(node.arg, f"_{len(names)}")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.setdefault(node.id, f"_{len(names)}")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.name = names[node.name]
        elif isinstance(node, ast.arg):
            node.arg = names[node.arg]
        elif isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return ast.unparse(tree)


def rhymes(first: str, second: str) -> bool:
    """Whether two lines end in different words of one rhyme family."""
    a, b = last_word(first), last_word(second)
    return a != b and any({a, b} <= ends for ends in _families())


@cache
def _families() -> tuple[frozenset[str], ...]:
    return tuple(
        frozenset(last_word(line) for line in (*tails, *seconds))
        for tails, seconds in tables.read("rhymes").values()
    )


def has_form(form: str, text: str) -> bool:
    """Whether a text has the shape of its form."""
    lines = text.splitlines()
    ended = text.rstrip().endswith((".", "!", "?", '"'))
    sentences = len(re.findall(r"[.!?]", text))
    match form:
        case "haiku":
            return [verses.syllables(line) for line in lines] == [5, 7, 5]
        case "couplet":
            return len(lines) == 2 and _rhyme(lines[0], lines[1])
        case "poem":
            return len(lines) == 4 and _rhyme(lines[0], lines[1]) and _rhyme(lines[2], lines[3])
        case "story":
            return len(lines) == 1 and ended and 4 <= sentences <= 8
        case "long story":
            return len(lines) == 4 and ended and sentences >= 8
        case "dialogue":
            said = (r'"[A-Z].+\?" asks the \w+\.', r'"[A-Z].+," says the \w+\.', r'"[A-Z].+[.?!]"')
            return len(lines) == 3 and all(map(re.fullmatch, said, lines))
        case "list":
            return [line[:3] for line in lines] == ["1. ", "2. ", "3. "]
        case "name":
            return re.fullmatch(r"[A-Z][^:\n]+: .+\.", text) is not None
        case "code":
            return text.startswith("def ") and parses(text)
        case "refusal":
            return text.startswith(_refusals())
        case "greeting":
            return len(lines) == 1 and ended and sentences == 3
        case "opening" | "blank":
            return len(lines) == 1 and ended and sentences == 1
        case _:
            return len(lines) == 1 and ended and len(text.split()) >= 6


@cache
def _refusals() -> tuple[str, ...]:
    """What a text may begin with that says that it cannot do what was asked."""
    chat = tables.read("chat")
    return tuple(
        text
        for mood in ("form", "unknown")
        for reply in chat[mood][1]
        for text in elastic.fillings(reply, {})
    )


def _rhyme(first: str, second: str) -> bool:
    return bool(re.search(r"[a-z]", first) and re.search(r"[a-z]", second)) and rhymes(first, second)


def parses(code: str) -> bool:
    """Whether a text is Python."""
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


class Familiar:
    """Which runs of `size` tokens occur in a corpus; names, subjects and their like count as one class.

    A text that breaks off, stumbles or glues two sentences together has a run that no text of the
    corpus has. It says nothing about sense, and a new but correct wording counts against a text too.
    """

    def __init__(self, examples: Iterable[Example], size: int = 3) -> None:
        """Collect the runs of a corpus' answers."""
        self._size = size
        self._classes = _classes()
        self._verse_classes = _topic_classes() | self._classes
        self._runs = {run for one in examples for run in self._split(one.answer, one.form)}

    def share(self, text: str, form: str) -> float:
        """Share of a text's runs that the corpus has, 0-1; an empty text has none.

        In verse the topics are a class, too: elsewhere *home*, *love* or *sleep* are other words as well.
        """
        runs = self._split(text, form)
        return sum(run in self._runs for run in runs) / len(runs) if runs else 0.0

    def _split(self, text: str, form: str) -> list[tuple[str, ...]]:
        classes = self._verse_classes if form in _VERSE else self._classes
        tokens = [token.strip(" ").lower() for token in elastic.split(text)]
        tokens = ["<start>", *(classes.get(token, token) for token in tokens), "<end>"]
        return list(zip(*(tokens[i:] for i in range(self._size)), strict=False)) if text.strip() else []


def _classes() -> dict[str, str]:
    classes = {name.lower(): "<name>" for name in words.names()}
    for kin in words.kins().values():
        classes |= dict.fromkeys(kin.adjectives, "<adjective>")
        classes |= dict.fromkeys(kin.places, "<noun>")
        classes |= dict.fromkeys(kin.members, "<noun>")
        for thing in kin.things:
            adjective, noun = thing.split()
            classes |= {adjective: "<adjective>", noun: "<noun>"}
    return classes | {"a": "<a>", "an": "<a>"}


def _topic_classes() -> dict[str, str]:
    """*The sea* is a noun like any other, *winter* one that has no article."""
    topics = words.plain_topics().items()
    return {topic.lower(): "<bare>" if phrase == topic else "<noun>" for topic, (phrase, _) in topics}


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n", text) if part.strip()]


def apart(texts: Sequence[str], size: int = 5) -> list[int]:
    """Which texts share no phrase with a chosen one before them; the first is always chosen.

    A phrase is a sentence, a line, or a run of `size` words within one: what a reader of several drafts
    notices.
    """
    chosen: list[int] = []
    said: set[tuple[str, ...]] = set()
    for index, text in enumerate(texts):
        found: set[tuple[str, ...]] = set()
        for sentence in sentences(text):
            spoken = readability.words(sentence)
            found |= {tuple(spoken), *zip(*(spoken[i:] for i in range(size)), strict=False)}
        if said.isdisjoint(found):
            chosen.append(index)
            said |= found
    return chosen


def openings(texts: Sequence[str], count: int = 4) -> int:
    """In how many ways texts begin: different first `count` words."""
    return len({tuple(readability.words(text)[:count]) for text in texts})
