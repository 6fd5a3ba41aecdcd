"""What an evaluation asks, and how answers are judged."""

from __future__ import annotations

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Iterator

import pytest
from transformers import PreTrainedTokenizerFast

from dgemma_play.checkpoints import ASSETS
from dgemma_play.training import corpus, evaluate, measures, probes, tokenizer
from dgemma_play.training.grammar import shortforms, snippets, tables, words
from dgemma_play.training.grammar.example import Example


def embedded_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(ASSETS / "embedded")


def test_a_story_whose_hero_comes_in_twice_is_found() -> None:
    begun = "One day, a shy pirate was all alone. "
    assert measures.meets_itself(begun + "A pirate came in and dripped on the carpet.", ["pirate"])
    assert measures.meets_itself(begun + "The pirate gave the pirate dry socks.", ["pirate"])
    assert measures.meets_itself(begun + "Then an old pirate came in.", ["shy", "pirate"])
    assert measures.meets_itself("A shy pirate met a pirate by the sea.", ["pirate"])
    assert measures.meets_itself(begun + "The pirate sang low, the pirate sang very high.", ["pirate"])
    assert measures.meets_itself("A carpet was alone. Then a carpet came in.", ["carpet"])  # a held-out noun
    assert not measures.meets_itself(begun + "A cat came in. The pirate gave the cat dry socks.", ["pirate"])
    assert not measures.meets_itself("Our Ana was alone. Then a pirate came in.", ["Ana", "pirate"])
    told = (e for e in corpus.draw(3000, seed=3, stand_ins=False) if "story" in e.form)
    assert not [e.answer for e in told if measures.meets_itself(e.answer, e.asked)]


def test_held_out_nouns_are_words_of_the_vocabulary_and_no_subject_of_the_tables() -> None:
    nouns = {word for probe in probes.HELD_OUT for word in probe.words}
    assert len(nouns) == 40
    assert not nouns & (words.verse_topics().keys() | words.subjects().keys())
    assert nouns < {token.strip() for token in tokenizer.tokens(embedded_tokenizer())}


def test_unknown_words_are_spelt_in_characters() -> None:
    unknown = {probe.prompt.rstrip(".").split()[-1] for probe in probes.UNKNOWN}
    assert len(unknown) == 15
    assert not unknown & {token.strip() for token in tokenizer.tokens(embedded_tokenizer())}


def test_a_blank_is_filled_if_every_given_word_stays_in_its_place() -> None:
    sentence = ["The", "cat", "sat", "on", "the", "_"]
    for text in ("The cat sat on the mat.", "the cat sat on the warm mat"):
        assert measures.filled(text, sentence)
    for text in (
        "The cat sat on the.",
        "The cat sat on a mat.",
        "The cat sat on the mat and slept.",
        "The cat sat on the the.",
        "The cat sat on the blank.",
        "The cat sat on the '.",
        "The, cat. sat! on the mat.",
        "The cat sat on the mat? 77!",
        "",
    ):
        assert not measures.filled(text, sentence), text
    assert measures.filled("It rained, so we ran.", ["It", "rained", "so", "we", "_"])


def test_a_greeting_has_three_sentences() -> None:
    assert measures.has_form("greeting", "Hello, Ana! The kettle is on. Stay as long as you like.")
    assert not measures.has_form("greeting", "Hello, Ana! The kettle is on.")
    assert not measures.has_form("greeting", "A fox slept. It woke. It ran. It ate. It slept again.")


def test_every_code_of_a_task_solves_it() -> None:
    for task in snippets.tasks():
        for code in task.all_codes():
            assert measures.solves(code, task.functions[0]), code


def test_the_subject_counts_where_one_was_asked_for() -> None:
    fox = probes.Probe("seen", "opening", "a line about a fox", ("fox",))
    bakery = probes.Probe("seen", "name", "Name a bakery.")
    drafts = [
        evaluate.Draft(fox, "One day the fox left.", 9, 1.0),
        evaluate.Draft(fox, "One day the owl left.", 9, 1.0),
        evaluate.Draft(bakery, "The Golden Loaf: warm all day.", 9, 1.0),
    ]
    found = evaluate.summary(drafts)
    assert found["subject"] == 0.5
    assert found["faultless"] == pytest.approx(0.75)  # of the two prompts' shares, a half and one
    assert found["error"] == pytest.approx(0.25)
    assert "second hero" not in found
    alone = evaluate.summary(drafts[2:])
    assert "subject" not in alone
    assert "error" not in alone


def test_topics_are_a_class_in_verse_alone() -> None:
    """Elsewhere *home*, *love* and *sleep* are other words as well."""
    familiar = measures.Familiar(
        [
            Example("haiku", "", "I wait for winter"),
            Example("story", "", "The fox went home. We love it. They will sleep."),
        ]
    )
    assert familiar.share("I wait for coffee", "haiku") == 1
    assert familiar.share("I wait for coffee", "story") < 1
    assert familiar.share("The fox went home. We love it. They will sleep.", "story") == 1
    assert familiar.share("The fox went butter. We ketchup it. They will cheese.", "story") < 0.7


def test_texts_are_apart_that_share_no_sentence_line_or_five_words() -> None:
    first = "The sea by the fence\nA gull forgets where to land\nThe silence gets deep"
    same_line = "The sea on the roof\nA fish turns over in sleep\nThe silence gets deep"
    same_words = "On the roof the sea\nWhen a gull forgets where to\nWe row back cleaner"
    other = "In love with the sea\nA fish turns over in sleep\nSomewhere a door sings"
    assert measures.apart([first, same_line, same_words, other]) == [0, 3]
    assert measures.apart(["Who am I? You are.", "What am I? You are."]) == [0]
    assert measures.apart([]) == []


def test_code_solves_its_task_whatever_its_names() -> None:
    assert measures.solves("def f(q):\n    return q % 2 == 0", "is_even")
    assert measures.solves("def keep(them):\n    return [x for x in them if x % 2 == 0]", "keep_even")
    assert measures.solves("def f(n):\n    if n < 2:\n        return 1\n    return n * f(n - 1)", "factorial")
    for text in (
        "def f(q):\n    return q % 2 == 1",
        "def f(q):\n    return p % 2 == 0",
        "def f(q",
        "q % 2 == 0",
    ):
        assert not measures.solves(text, "is_even")
    assert not measures.solves("def f(q):\n    return q % 2 == 0", "a task that the grammar does not have")


def test_a_refusal_is_known_by_how_it_begins() -> None:
    rng = random.Random(0)
    answers = [shortforms.chat(rng) for _ in range(200)]
    kinds = tables.read("chat")["unknown forms"][0]
    refused = [e for e in answers if any(kind.lower() in e.prompt.lower() for kind in kinds)]
    assert len(refused) > 5
    assert all(measures.has_form("refusal", e.answer) for e in refused)
    assert not measures.has_form("refusal", "A fox found a bell. It rang all day.")


def all_choices(template: str) -> list[str]:
    """Every text that a template with words/joined/so can give."""
    parts = re.split(r"([A-Za-z']+(?:/[A-Za-z']+)+)", template)
    return ["".join(choice) for choice in itertools.product(*(part.split("/") for part in parts))]


def first_lines(task: snippets.Task) -> Iterator[str]:
    """Every first line that a prompt can give, whatever its arguments are called."""
    line = task.code.partition("\n")[0]
    names = snippets.argument_names()
    for function, a, b in itertools.product(task.functions, names, names if "{b}" in line else ("",)):
        yield line.format(f=function, a=a, b=b)


def test_no_template_asks_in_a_paraphrased_wording() -> None:
    def wording(prompt: str, asked: tuple[str, ...]) -> str:
        for word in asked:
            prompt = re.sub(rf"\b(an? |the |my )?{word}\b", "X", prompt)
        return re.sub(r"[^a-zX ]", "", prompt[:1].lower() + prompt[1:]).strip()

    others = [p for p in probes.PARAPHRASED if p.form not in ("blank", "code")]
    templates = {wording(e.prompt, e.asked) for e in corpus.draw(20_000, seed=4)}
    templates |= {
        wording(text.replace("{x}", "X"), ("X",))
        for heading, (lines,) in tables.read("asks").items()
        for line in lines
        if not heading.startswith(("code", "blank"))
        for text in all_choices(line)
    }
    assert wording("Write a haiku about the sea.", ("sea",)) in templates
    assert wording("congrats to Ana on the exam", ("Ana",)) in templates
    assert not [p.prompt for p in others if wording(p.prompt, p.words) in templates]


def test_no_template_asks_for_code_in_a_paraphrased_wording() -> None:
    asks, said = tables.read("asks"), defaultdict(set)
    for task in snippets.tasks():
        said["code result"].update(text for result in task.results for text in all_choices(result))
        said["code signature"].update(first_lines(task))
        said["code that"].update(filter(None, map(snippets.as_deed, said["code result"])))
        for deed in itertools.chain.from_iterable(map(all_choices, task.deeds)):
            for heading, text in snippets.ways(deed).items():
                said[heading].add(text)

    said = {heading: {text.lower() for text in texts} for heading, texts in said.items()}

    def is_a_template(prompt: str) -> bool:
        plain = re.sub(r",? (please|thanks|pls)$", "", prompt.lower().rstrip(".!"))
        plain = re.sub(r"\b(?:called|named) \w+ that\b", "that", plain)
        for heading, texts in said.items():
            for wording in itertools.chain.from_iterable(map(all_choices, asks[heading][0])):
                before, after = (part.strip(" .!") for part in wording.lower().split("{x}"))
                inside = plain.removeprefix(before).removesuffix(after).strip()
                if f"{before} {inside} {after}".strip() == plain and inside in texts:
                    return True
        return False

    assert is_a_template("Write a Python function that adds two numbers.")
    assert is_a_template("def is_prime(n):")
    assert is_a_template("A function called add that returns the sum of two numbers")
    assert not [p.prompt for p in probes.PARAPHRASED if p.form == "code" and is_a_template(p.prompt)]


def test_no_template_gives_the_sentence_of_a_paraphrased_blank() -> None:
    def can_give(template: str, sentence: tuple[str, ...]) -> bool:
        slots = [slot.lower().split("/") for slot in re.findall(r"[A-Za-z'/]+", template)]
        fits = (word == "_" or word.lower() in slot for word, slot in zip(sentence, slots, strict=False))
        return len(slots) == len(sentence) and all(fits)

    everyday = list(itertools.chain.from_iterable(tables.read("everyday")["sentences"]))
    assert any(can_give(template, ("The", "bird", "sat", "in", "the", "_")) for template in everyday)
    blanks = [probe for probe in probes.PARAPHRASED if probe.form == "blank"]
    assert not [p.prompt for p in blanks for template in everyday if can_give(template, p.words)]
