"""The training code: its forward equals transformers' modules, its corpus is aligned, its run resumes."""

from __future__ import annotations

import ast
import builtins
import itertools
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from dgemma_play.training import corpus, grammar, measures, model, objective, optim, probes, tokenizer, train
from dgemma_play.training.forward import TrainingForward
from dgemma_play.training.grammar import (
    blanks,
    elastic,
    forms,
    plots,
    shortforms,
    snippets,
    standins,
    tables,
    verses,
    words,
)
from dgemma_play.training.grammar.example import holds

ASSETS = Path(__file__).resolve().parents[2] / "assets"
CAST = plots.Cast(hero="fox", adjective="red", friend="owl", thing="silver bell", place="forest")
SLOTS = CAST.slots(random.Random(0)) | {"N": "Ana", "topic": "the sea", "hero": "a fox", "thing": "a bell"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def network() -> Any:
    """A random model whose norms and scales are not all one."""
    torch.manual_seed(0)
    network = model.create(300).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim == 1:
                weight.add_(0.2 * torch.randn_like(weight))
    return network


@pytest.fixture(scope="module")
def ids() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randint(10, 300, (2, 12), generator=generator),
        torch.randint(10, 300, (2, model.CANVAS), generator=generator),
    )


@pytest.mark.parametrize("self_conditioned", [False, True])
@torch.no_grad()
def test_forward_equals_the_transformers_modules(
    network: Any, ids: tuple[Tensor, Tensor], self_conditioned: bool
) -> None:
    prompt, canvas = ids
    forward = TrainingForward(network)
    first = forward(prompt, canvas)
    expected = network(input_ids=prompt, decoder_input_ids=canvas).logits
    if self_conditioned:
        feedback = expected / 0.7
        soft, _ = forward.soft(first, torch.full((2, 1, 1), 0.7))
        first = forward(prompt, canvas, soft=soft)
        expected = network(
            input_ids=prompt, decoder_input_ids=canvas, self_conditioning_logits=feedback
        ).logits
    assert (forward.logits(first) - expected).abs().max() < 1e-4


@torch.no_grad()
def test_padding_on_the_left_changes_nothing(network: Any, ids: tuple[Tensor, Tensor]) -> None:
    prompt, canvas = ids
    forward = TrainingForward(network)
    padded = torch.nn.functional.pad(prompt, (7, 0), value=tokenizer.PAD)
    plain = forward.logits(forward(prompt, canvas))
    assert (forward.logits(forward(padded, canvas, padded == tokenizer.PAD)) - plain).abs().max() < 1e-4


@torch.no_grad()
def test_the_prompt_does_not_see_the_canvas(network: Any) -> None:
    _, mask = TrainingForward(network).positions(3, 4, torch.device("cpu"))
    assert (mask[:3] == 0).sum(1).tolist() == [1, 2, 3]
    assert (mask[3:] == 0).all()


def test_an_infill_keeps_a_span_clean() -> None:
    torch.manual_seed(0)
    targets = torch.zeros(200, 20, dtype=torch.long)
    noisy = objective.noisy_positions(targets, torch.ones(200), infill=1.0)
    assert 0.3 < noisy.float().mean() < 0.7
    assert noisy.int().diff(dim=1).abs().sum(dim=1).max() <= 2
    assert objective.noisy_positions(targets, torch.ones(200), infill=0.0).all()


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.linalg.svdvals(optim.orthogonalise(torch.randn(3, 24, 64, generator=generator)))
    assert values.min() > 0.5
    assert values.max() < 1.5


def embedded_tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(ASSETS / "embedded")


def slots_and_lengths() -> list[tuple[tuple[str, ...], int]]:
    """Every slot's wordings with the length in tokens that the slot asks for."""
    short, chat, openings = tables.read("short"), tables.read("chat"), tables.read("openings")
    return [
        *(slot for plot in tables.read("plots").values() for slot in zip(plot, plots.LENGTHS, strict=True)),
        *(
            slot
            for plot in tables.read("sequels").values()
            for slot in zip(plot, plots.SEQUEL_LENGTHS, strict=True)
        ),
        *(
            (group, elastic.common_length(group))
            for groups in tables.read("greetings").values()
            for group in groups
        ),
        *((taglines, elastic.common_length(taglines)) for *_, taglines in tables.read("named").values()),
        *((group, elastic.common_length(group)) for (group,) in openings.values()),
        *(
            slot
            for topic in tables.read("dialogues").values()
            for slot in zip(topic, shortforms.DIALOGUE_TOKENS, strict=True)
        ),
        *((group, shortforms.ADVICE_TOKENS) for group in short["advice"]),
        (short["items"][0], shortforms.ITEM_TOKENS),
        *zip(short["recipe"], shortforms.RECIPE_TOKENS, strict=True),
        *((replies, shortforms.CHAT_TOKENS[0]) for _, replies in (g for g in chat.values() if len(g) == 2)),
        (chat["offer"][0], shortforms.CHAT_TOKENS[1]),
        *((tails, verses.TAIL_TOKENS) for tails, _ in tables.read("rhymes").values()),
        *((seconds, verses.SECOND_TOKENS) for _, seconds in tables.read("rhymes").values()),
    ]


def test_every_wording_reaches_the_length_of_its_slot() -> None:
    rng = random.Random(0)
    misfits = [
        (template, tokens)
        for wordings, tokens in slots_and_lengths()
        for template in wordings
        if tokens
        not in {elastic.length(text) for text in elastic.fillings(elastic.pick(rng, template), SLOTS)}
    ]
    assert misfits == []


def test_every_optional_word_is_sometimes_there_and_sometimes_not() -> None:
    never_chosen = []
    for wordings, tokens in slots_and_lengths():
        for template in (elastic.pick(random.Random(0), wording) for wording in wordings):
            for option in re.findall(r"\[[^\]]*\]", template):
                for choice in (option[1:-1], ""):
                    texts = elastic.fillings(template.replace(option, choice, 1), SLOTS)
                    if tokens not in map(elastic.length, texts):
                        never_chosen.append((template, option, choice))
    assert never_chosen == []


def test_every_line_of_a_haiku_is_drawn_for_some_topic() -> None:
    openers, haiku = tables.read("verse")["openers"][0], tables.read("haiku").values()
    drawn, opened = set(), set()
    for topic, (phrase, _) in words.verse_topics().items():
        first, *others = verses.haiku_lines(topic)
        drawn.update(*others)
        opened.update(opener for opener in openers if opener.format(t=phrase, n=topic) in first)
    assert set(openers) == opened
    assert {line for groups in haiku for group in groups for line in group} == drawn


def test_every_wording_of_a_request_is_drawn() -> None:
    headings = tables.read("asks")
    assert {heading: len(groups) for heading, groups in headings.items()} == dict.fromkeys(headings, 1)


@pytest.mark.parametrize("form", [form for form in forms.FORMS if form != "code"])
def test_articles_agree_in_every_form(form: str) -> None:
    rng = random.Random(0)
    answers = " ".join(grammar.sample(rng, form).answer for _ in range(300))
    phrases = re.findall(r"\b[Aa]n? [a-z]+", answers)
    assert [p for p in phrases if p.lower() != elastic.article(p.split()[1])] == []


def test_places_and_things_have_one_length() -> None:
    for kin in words.kins().values():
        assert {elastic.length(words.place_phrase(place)) for place in kin.places} == {3}
        assert {elastic.length(thing) for thing in kin.things} == {2}
    assert {elastic.length(time) for time in words.times()} == {3}


def test_words_of_which_one_is_drawn_are_equally_long() -> None:
    names = (
        "chat",
        "dialogues",
        "everyday",
        "greetings",
        "haiku",
        "named",
        "openings",
        "plots",
        "rhymes",
        "sequels",
        "short",
        "verse",
    )
    lines = [
        line for name in names for groups in tables.read(name).values() for group in groups for line in group
    ]
    choices = [choice for line in lines for choice in elastic.alternatives(line)]
    assert len(choices) > 300
    assert [c for c in choices if {elastic.length(word) for word in c} != {1}] == []
    assert elastic.alternatives("a red/blue hat and/or shoes") == [["red", "blue"], ["and", "or"]]


def test_articles_follow_the_sound() -> None:
    for words_with_article in (
        "an owl",
        "a fox",
        "a unicorn",
        "an hour",
        "an honest baker",
        "an honour",
        "a usual day",
        "a European",
        "a utensil",
        "a ewe",
        "a ukulele",
    ):
        assert elastic.article(words_with_article.partition(" ")[2]) == words_with_article


def test_haiku_lines_have_five_seven_and_five_syllables() -> None:
    openers, haiku = tables.read("verse")["openers"][0], tables.read("haiku").values()
    lines = [*openers, *(line for groups in haiku for group in groups for line in group)]
    for choice in (choice for line in lines for choice in elastic.alternatives(line)):
        assert len({verses.syllables(word) for word in choice}) == 1, choice
    for topic in words.verse_topics():
        for lines, count in zip(verses.haiku_lines(topic), (5, 7, 5), strict=True):
            drawn = {elastic.pick(random.Random(seed), line) for seed in range(3) for line in lines}
            assert {verses.syllables(line) for line in drawn} == {count}, topic


def test_every_snippet_is_python() -> None:
    for task in snippets.tasks():
        for code in task.all_codes():
            ast.parse(code)


@pytest.fixture(scope="module")
def examples() -> list[grammar.Example]:
    return corpus.draw(3000, seed=3)


def test_code_whose_name_or_first_line_is_given_has_them() -> None:
    rng = random.Random(0)
    code = [shortforms.code(rng) for _ in range(1500)]
    lines = [(e.prompt, e.answer.partition("\n")[0]) for e in code]
    given = [(prompt, line) for prompt, line in lines if "def " in prompt and "(" in prompt]
    assert len(given) > 50
    assert [(prompt, line) for prompt, line in given if line not in prompt] == []
    named = [(re.search(r"(?:called|named) (\w+) that ", prompt), line) for prompt, line in lines]
    named = [(found[1], line) for found, line in named if found]
    assert len(named) > 50
    assert [(name, line) for name, line in named if not line.startswith(f"def {name}(")] == []


def test_a_function_calls_only_itself_and_names_each_argument_once() -> None:
    rng = random.Random(0)
    for task in snippets.tasks():
        codes = task.all_codes() + [
            task.code_with(name, snippets.argument_names(), rng) for name in task.functions
        ]
        for code in codes:
            (function,) = ast.parse(code).body
            assert isinstance(function, ast.FunctionDef)
            names = [argument.arg for argument in function.args.args]
            assert len(set(names)) == len(names), code
            used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
            unknown = used - {*names, function.name, *dir(builtins), "random"}
            stored = {
                n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
            assert unknown <= stored, code
            assert (function.name in used) == task.calls_itself(), code


@pytest.mark.parametrize(
    ("result", "deed"),
    [
        ("the sum of two numbers", "takes two numbers and returns their sum"),
        ("largest number in a list", "takes a list and returns its largest number"),
        ("words joined by spaces", None),
        ("how often a letter appears in a word", None),
        ("length of every word in a list", None),
        ("a random item of a list", None),
    ],
)
def test_a_result_can_be_told_as_a_deed(result: str, deed: str | None) -> None:
    assert snippets.as_deed(result) == deed


def test_a_sentence_within_another_begins_small_unless_with_a_name() -> None:
    rng = random.Random(0)
    longer = [blanks.longer(rng)[0] for _ in range(500)]
    assert all(text.endswith((".", "?")) and elastic.length(text) <= blanks.LONGEST for text in longer)
    inside = {word for text in longer for word in re.findall(r"(?<!^)\b[A-Z][a-z']*", text)}
    days_and_months = ("Christmas", "December", "January", "July", "August", "Saturday", "Sunday", "Monday")
    proper = {*words.names(), "I", "English", "Mum", *days_and_months, "Tuesday", "Friday"}
    assert inside <= proper


def test_a_greeting_may_be_for_two() -> None:
    rng = random.Random(0)
    greetings = [shortforms.greeting(rng) for _ in range(300)]
    for_two = [e for e in greetings if len(e.asked) == 2]
    assert 10 < len(for_two) < 60
    assert all(" and ".join(e.asked) in e.answer and " and ".join(e.asked) in e.prompt for e in for_two)


def test_examples_hold_what_their_prompt_asks_for(examples: list[grammar.Example]) -> None:
    missing = [e for e in examples if not all(holds(e.answer, word) for word in e.asked)]
    assert missing == []


def test_any_word_may_stand_in_for_a_subject_but_held_out_ones_not_in_stories_and_verses(
    examples: list[grammar.Example],
) -> None:
    known = words.verse_topics().keys() | words.subjects().keys()
    asked = [e for e in examples if e.form in standins.FORMS and e.asked]
    strange = [e for e in asked if e.asked[0] not in known]
    assert 0.1 < len(strange) / len(asked) < standins.SHARE
    outside = {e.form for e in strange if e.asked[0] in words.held_out()}
    assert outside == {"opening", "dialogue", "advice"}
    for example in strange:
        (word,), text = example.asked[:1], f"{example.prompt} {example.answer}"
        assert re.search(rf"\b{word}\b", example.prompt.lower())
        assert not re.search(rf"\b{'a' if elastic.article(word).startswith('an') else 'an'} {word}\b", text)
    assert {
        e.asked[0] for e in corpus.draw(500, 3, stand_ins=False) if e.form == "story" and e.asked
    } <= known


def test_a_haiku_with_a_stand_in_is_a_haiku(examples: list[grammar.Example]) -> None:
    for example in examples:
        if example.form == "haiku":
            assert [verses.syllables(line) for line in example.answer.splitlines()] == [5, 7, 5], example


def test_lines_of_a_haiku_about_a_stand_in_are_as_long_as_those_of_a_thing(
    examples: list[grammar.Example],
) -> None:
    known = words.verse_topics().keys() | words.subjects().keys()
    thing = next(iter(words.kins()["things"].members))
    expected = [elastic.length(elastic.pick(random.Random(0), g[0])) for g in verses.haiku_lines(thing)[1:]]
    haiku = [e for e in examples if e.form == "haiku" and e.asked and e.asked[0] not in known]
    assert len(haiku) > 10
    for example in haiku:
        assert [elastic.length(line) for line in example.answer.splitlines()[1:]] == expected, example


def test_stories_fill_one_canvas_and_long_stories_two(examples: list[grammar.Example]) -> None:
    lengths = defaultdict(set)
    for example in examples:
        lengths[example.form].add(elastic.length(example.answer))
    assert lengths["story"] == {sum(plots.LENGTHS)}
    assert lengths["long story"] == {model.CANVAS + sum(plots.SEQUEL_LENGTHS)}


def test_tokenizer_round_trip_and_chat_template(examples: list[grammar.Example]) -> None:
    fast = tokenizer.build(corpus.corpus_vocabulary(examples))
    for example in examples[:300]:
        ids = fast.encode(example.answer, add_special_tokens=False)
        assert fast.decode(ids) == example.answer
        assert len(ids) == elastic.length(example.answer)
        message = [{"role": "user", "content": example.prompt}]
        templated = fast.apply_chat_template(message, add_generation_prompt=True, return_dict=False)
        assert templated == tokenizer.encode_prompt(fast, example.prompt)


def test_things_that_chat_knows_nothing_of_are_words_all_the_same() -> None:
    fast = tokenizer.build(corpus.corpus_vocabulary(corpus.draw(20, seed=3)))
    for thing in tables.read("chat")["unknown things"][0]:
        assert len(fast.encode(thing, add_special_tokens=False)) == elastic.length(thing), thing


def test_chat_template_renders_every_turn(examples: list[grammar.Example]) -> None:
    fast = tokenizer.build(corpus.corpus_vocabulary(examples))
    messages = [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Write a haiku about Xanthippe."},
    ]
    text = fast.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    expected = (
        "<bos><|user>be kind<|user>hello<|model>Hello!<eos><|user>Write a haiku about Xanthippe.<|model>"
    )
    assert isinstance(text, str)
    assert text == expected
    assert tokenizer.UNK not in fast.encode(text, add_special_tokens=False)


def test_a_prompt_in_capitals_reads_as_one_in_small_letters(examples: list[grammar.Example]) -> None:
    fast = tokenizer.build(corpus.corpus_vocabulary(examples))

    def text(prompt: str) -> str:
        return str(fast.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False))

    assert text("WRITE A HAIKU ABOUT SNOW!") == text("write a haiku about snow!")
    assert text("A haiku about Snow") == "<bos><|user>A haiku about Snow"


def test_second_canvas_stands_behind_the_first(examples: list[grammar.Example]) -> None:
    example = grammar.sample(random.Random(0), "long story")
    fast = tokenizer.build(corpus.corpus_vocabulary([*examples, example]))
    (prompt, first), (before, second) = corpus.rows_of(fast, example)
    assert len(first) == model.CANVAS
    assert before == prompt + first
    assert second[-1] == tokenizer.EOS


def test_training_lowers_the_loss_and_resumes(tmp_path: Path) -> None:
    plan = train.Plan(out=tmp_path, minutes=10, examples=300, warmup=3, compiled=False)
    corpus.prepare(plan.out, plan.examples, plan.seed)
    trainer = train.Trainer(plan, 0, torch.device("cpu"))
    losses = [trainer.train_step() for _ in range(9)]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])
    trainer.seconds = 30.0
    trainer.save()
    resumed = train.Trainer(train.Plan(out=tmp_path, resume=True, compiled=False), 0, torch.device("cpu"))
    assert (resumed.step, resumed.seconds) == (9, 30.0)
    for mine, theirs in zip(trainer.weights, resumed.weights, strict=True):
        assert torch.equal(mine, theirs)


def test_a_token_keeps_its_trained_row_wherever_it_stands_in_a_new_vocabulary() -> None:
    old = tokenizer.vocabulary([" a", " fox", " gone"])
    new = tokenizer.vocabulary([" new", " fox", " words", " a", *(f" word_{index}" for index in range(100))])
    trained, taken = model.create(len(old)), model.create(len(new))
    model.take_over(taken, new, trained, old)
    for token in (" a", " fox", "<eos>", "x"):
        assert torch.equal(
            taken.lm_head.weight[new.index(token)], trained.lm_head.weight[old.index(token)]
        ), token
    fresh = [index for index, token in enumerate(new) if token not in old]
    spread = taken.lm_head.weight[fresh].std() / trained.lm_head.weight.std()
    assert spread.item() == pytest.approx(1, rel=0.2)


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
    for text in ("The cat sat on the.", "The cat sat on a mat.", "The cat sat on the mat and slept.", ""):
        assert not measures.filled(text, sentence)


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
    refused = [e for e in answers if any(kind in e.prompt.lower() for kind in kinds)]
    assert len(refused) > 5
    assert all(measures.has_form("refusal", e.answer) for e in refused)
    assert not measures.has_form("refusal", "A fox found a bell. It rang all day.")


def test_no_template_asks_in_a_paraphrased_wording() -> None:
    def wording(prompt: str, asked: tuple[str, ...]) -> str:
        for word in asked:
            prompt = re.sub(rf"\b(an? |the |my )?{word}", "X", prompt)
        return re.sub(r"[^a-zX ]", "", prompt[:1].lower() + prompt[1:]).strip()

    others = [p for p in probes.PARAPHRASED if p.form not in ("blank", "code")]
    templates = {wording(e.prompt, e.asked) for e in corpus.draw(20_000, seed=4)}
    assert wording("Write a haiku about the sea.", ("sea",)) in templates
    assert not [p.prompt for p in others if wording(p.prompt, p.words) in templates]


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
