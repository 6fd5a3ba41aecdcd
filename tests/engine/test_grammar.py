"""The corpus: what its tables can say, how its sentences are aligned, how they become tokens."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import chain

import pytest

from dgemma_play.training import corpus, grammar, model, tokenizer
from dgemma_play.training.grammar import (
    blanks,
    elastic,
    forms,
    longforms,
    plots,
    shortforms,
    standins,
    tables,
    verses,
    words,
)
from dgemma_play.training.grammar.example import holds

CAST = plots.Cast(hero="fox", adjective="red", friend="owl", thing="silver bell", place="forest")

SLOTS = CAST.slots(random.Random(0)) | {
    "N": "Ana",
    "topic": "the sea",
    "hero": "a fox",
    "thing": "a bell",
    "x": "bell",
}


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


def test_no_slot_has_a_word_that_may_be_left_out() -> None:
    assert not [template for wordings, _ in slots_and_lengths() for template in wordings if "[" in template]


def test_every_line_of_a_haiku_is_drawn_for_some_topic() -> None:
    openers, haiku = tables.read("verse")["openers"][0], tables.read("haiku").values()
    drawn, opened = set(), set()
    for topic, (phrase, _) in words.verse_topics().items():
        first, *others = verses.haiku_lines(topic)
        drawn.update(*others)
        opened.update(opener for opener in openers if opener.format(t=phrase, n=topic) in first)
    assert set(openers) == opened
    assert {line for groups in haiku for group in groups for line in group} == drawn


def test_every_heading_of_requests_is_asked_for_and_has_one_group() -> None:
    headings = tables.read("asks")
    assert {len(groups) for groups in headings.values()} == {1}
    code = {f"code {way}" for way in ("that", "to", "if", "question", "result", "named", "signature")}
    forms_asked = {"story", "haiku", "couplet", "poem", "opening", "dialogue", "advice", "name", "blank"}
    parts = {"patterns", "before", "after", "moods", "relatives"}
    kinds = tables.read("greetings").keys()
    unnamed = {f"{kind} unnamed" for kind in kinds}
    to_several = {
        f"{kind} unnamed plural" for kind in ("congratulation", "farewell", "thank you note", "greeting")
    }
    assert headings.keys() == code | forms_asked | parts | kinds | unnamed | to_several


def test_a_way_of_asking_asks_for_one_kind_of_text() -> None:
    asked_for: defaultdict[str, set[str]] = defaultdict(set)
    for heading, groups in tables.read("asks").items():
        if heading not in ("patterns", "before", "after", "moods", "relatives"):
            kind = "code" if heading.startswith("code ") else heading.partition(" unnamed")[0]
            for wording in chain.from_iterable(groups):
                asked_for[wording.lower().rstrip(" .!?")].add(kind)
    several = {wording for wording, kinds in asked_for.items() if len(kinds) > 1}
    # What stands for {x} shows it: a fox has a story, a function's first line is code.
    assert several == {"{x}", "{x}, please", "complete: {x}"}


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
    assert (
        elastic.with_articles("the sum of a and b is a even number") == "the sum of a and b is an even number"
    )


def test_haiku_lines_have_five_seven_and_five_syllables() -> None:
    openers, haiku = tables.read("verse")["openers"][0], tables.read("haiku").values()
    lines = [*openers, *(line for groups in haiku for group in groups for line in group)]
    for choice in (choice for line in lines for choice in elastic.alternatives(line)):
        assert len({verses.syllables(word) for word in choice}) == 1, choice
    for topic in (*words.verse_topics(), *longforms.names_in_verse()):
        for lines, count in zip(verses.haiku_lines(topic), (5, 7, 5), strict=True):
            drawn = {elastic.pick(random.Random(seed), line) for seed in range(3) for line in lines}
            assert {verses.syllables(line) for line in drawn} == {count}, topic


@pytest.fixture(scope="module")
def examples() -> list[grammar.Example]:
    return corpus.draw(3000, seed=3)


def test_a_sentence_within_another_begins_small_unless_with_a_name() -> None:
    rng = random.Random(0)
    longer = [blanks.longer(rng)[0] for _ in range(500)]
    assert all(text.endswith((".", "?")) and elastic.length(text) <= blanks.LONGEST for text in longer)
    inside = {word for text in longer for word in re.findall(r"(?<!^)\b[A-Z][a-z']*", text)}
    calendar = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday Christmas Easter Halloween Santa"
    months = "January March April May June July August October November December"
    places = "Paris London Berlin France Italy Germany Spain Japan India Mexico Brazil"
    proper = {*words.names(), "I", "English", "Mum", *f"{calendar} {months} {places}".split()}
    assert inside <= proper


def test_a_greeting_may_be_for_two() -> None:
    rng = random.Random(0)
    greetings = [shortforms.greeting(rng) for _ in range(300)]
    for_two = [e for e in greetings if len(e.asked) == 2]
    assert 10 < len(for_two) < 60
    assert all(" and ".join(e.asked) in e.answer and " and ".join(e.asked) in e.prompt for e in for_two)


def test_a_greeting_without_a_name_is_to_uncle_to_a_friend_or_to_friends() -> None:
    rng = random.Random(0)
    examples = [shortforms.greeting(rng) for _ in range(500)]
    relatives = [e for e in examples if set(e.asked) & {"aunt", "uncle", "grandmother", "boss"}]
    assert relatives
    assert all(holds(text, *e.asked) for e in relatives for text in (e.prompt, e.answer))
    called = Counter(
        word for e in examples if not e.asked for word in ("friend", "friends") if holds(e.answer, word)
    )
    assert called["friend"] > called["friends"] > 10
    assert shortforms._called("my son broke our neighbor's window") == "friend"  # for whom is it?


def test_a_story_about_somebody_by_name_is_about_our_ana_and_one_about_my_fox_about_my_fox() -> None:
    rng = random.Random(0)
    stories = [longforms.story(rng) for _ in range(1500)]
    by_name = [e for e in stories if e.asked and e.asked[0] in words.names()]
    assert len(by_name) > 50
    for example in by_name:
        assert re.search(rf"\b[Oo]ur (\w+ )?{example.asked[0]}\b", example.answer), example
        assert elastic.length(example.answer) == sum(plots.LENGTHS)
    relations = ("daughter", "son", "friend", "mother", "brother", "sister")  # for whom a story may be, too
    known = [e for e in stories if e.asked and e.asked[0] not in relations]
    mine = [e for e in known if re.search(rf"\bmy {e.asked[0]}\b", e.prompt)]
    assert len(mine) > 10
    for example in mine:
        assert not re.search(rf"\b([Aa]n?|[Tt]he) (\w+ )?{example.asked[0]}\b", example.answer), example


def test_an_stands_only_before_words_that_were_asked_for() -> None:
    rng = random.Random(0)
    cast = plots.Cast(hero="fox", adjective="old", friend="owl", thing="red ball", place="forest")
    for asked in ((), ("owl",), ("old",), ("old", "owl")):
        settled = [plots.settle(rng, cast, asked) for _ in range(40)]
        assert {one.friend == "owl" for one in settled} == {"owl" in asked}
        assert {one.adjective == "old" for one in settled} == {"old" in asked}
    _, _, things = words.everywhere()
    free = [plots.settle(rng, plots.draw_cast(rng), ()) for _ in range(300)]
    drawn = [word for one in free for word in (one.adjective, one.friend)]
    assert [word for word in (*things, *drawn) if elastic.takes_an(word)] == []


def test_what_the_prompt_says_of_somebody_by_name_stands_in_the_story() -> None:
    rng = random.Random(0)
    prompts = [
        (e, re.search(r"\ban? (\w+) (?:girl|boy) named", e.prompt))
        for e in (longforms.story(rng) for _ in range(4000))
    ]
    described = [(example, found[1]) for example, found in prompts if found]
    assert len(described) > 20
    assert [example for example, adjective in described if not holds(example.answer, adjective)] == []


def test_a_companion_whom_nobody_asked_for_is_one_of_a_plots_own_well_known_ones_and_never_the_hero() -> None:
    rng = random.Random(0)
    for hero in ("fox", "teapot", "lighthouse", "king", "rocket"):
        settled = [plots.settle(rng, plots.draw_cast(rng, hero), ()) for _ in range(1000)]
        met = {one.friend for one in settled}
        assert hero not in met
        assert all(words.is_common(one) and words.pronouns(one)["s"] != "it" for one in met)
        assert len(met) > 45
        for plot in {one.plot for one in settled}:
            assert 3 <= len({one.friend for one in settled if one.plot == plot}) <= 4


@pytest.mark.parametrize(
    "told_of", [{"place": "moon"}, {"hero": "seed"}, {"friend": "seed"}, {"thing": "little song"}]
)
def test_a_story_is_of_no_plot_that_is_named_after_whom_it_tells_of(told_of: dict[str, str]) -> None:
    rng = random.Random(0)
    of_its_plot = {"moon": "sang to it, badly", "seed": "the ninth day", "song": "to hum along"}
    (said,) = {said for heading, said in of_its_plot.items() if heading in " ".join(told_of.values())}
    cast = plots.Cast(hero="robot", adjective="shiny", friend="king", thing="red ball", place="harbor")
    assert any(said in " ".join(plots.tell(rng, cast)) for _ in range(3000))
    assert not any(said in " ".join(plots.tell(rng, replace(cast, **told_of))) for _ in range(3000))


@pytest.mark.parametrize("form", list(forms.FORMS))
def test_a_place_that_nearly_always_has_one_token_always_has_it(form: str) -> None:
    rng = random.Random(7)
    drawn = (grammar.sample(rng, form, stand_ins=False).answer for _ in range(1500))
    told = [elastic.split(re.sub(r"\b([Aa])n ", r"\1 ", answer)) for answer in drawn]
    for place, tokens in enumerate(zip(*told, strict=False)):
        token, count = Counter(tokens).most_common(1)[0]
        assert count == len(told) or count < 0.9 * len(told), f"place {place} is {token!r} in {count}"


@pytest.mark.parametrize("table", ["haiku", "openings", "dialogues"])
def test_lines_have_a_place_where_each_has_a_word_of_its_own(table: str) -> None:
    for heading, groups in tables.read(table).items():
        for group in groups:
            lines = [re.sub(r"([^\s\w'/])", r" \1", line.lower()).split() for line in group]
            assert any(
                len(set(words_there)) == len(lines)
                for words_there in zip(*lines, strict=False)
                if not any("/" in word for word in words_there)
            ), heading


def test_a_guest_has_no_other_guest_in_the_sequel() -> None:
    rng = random.Random(0)
    cast = plots.Cast(hero="robot", adjective="shiny", friend="guest", thing="red ball", place="harbor")
    assert not any("suitcase" in " ".join(plots.tell_sequel(rng, cast)) for _ in range(100))


def test_no_word_is_before_the_topic_in_one_head_of_a_verse_and_behind_it_in_another() -> None:
    """A draft that has the topic twice would be of both heads: "Bread came to bread"."""
    parts = [head.split("{t}") for head in tables.read("verse")["heads"][0]]
    before, behind = (
        {word for part in side for word in re.findall(r"[a-z]+", part)} for side in zip(*parts, strict=True)
    )
    prepositions = {"to", "with", "at", "of", "for", "near"}
    assert prepositions <= before
    assert not prepositions & behind


def test_a_plot_that_drafts_fall_into_is_told_more_rarely() -> None:
    rng = random.Random(0)
    cast = plots.Cast(hero="fox", adjective="shy", friend="king", thing="red ball", place="harbor")
    told = Counter(plots.settle(rng, cast, asked=("king",)).plot for _ in range(4000))
    assert told["shop"] < 0.8 * told["find"]
    assert told["lost"] < 0.8 * told["find"]
    assert told.keys() == tables.read("plots").keys()
    assert plots._RARER.keys() <= told.keys()


def test_a_thing_of_a_list_stands_in_one_line_of_it_only() -> None:
    rng = random.Random(0)
    lists = [grammar.sample(rng, "list").answer.splitlines() for _ in range(300)]
    lines = [{line[3:] for line in column} for column in zip(*lists, strict=True)]
    assert sum(map(len, lines)) == len(set.union(*lines)) == len(tables.read("short")["items"][0])


def test_a_shop_is_named_after_what_it_sells() -> None:
    rng = random.Random(0)
    shops = [e for e in (grammar.sample(rng, "name") for _ in range(600)) if e.asked]
    assert len({e.asked for e in shops}) > 40
    for shop in shops:
        (sold,) = shop.asked
        assert holds(shop.prompt, sold) or holds(shop.prompt, words.plural(sold))
        assert re.fullmatch(rf"The [A-Z][a-z]+ {sold.capitalize()}: [A-Z].+\.", shop.answer)
        assert holds(shop.answer.partition(": ")[2], sold)


def test_nobody_builds_what_they_are() -> None:
    rng = random.Random(0)
    for hero in ("ladder", "boat", "cake"):
        cast = plots.Cast(hero=hero, adjective="shiny", friend="king", thing="red ball", place="harbor")
        told = [plots.tell(rng, cast)[0] for _ in range(200)]
        assert [sentence for sentence in told if len(re.findall(rf"\b{hero}\b", sentence)) != 1] == []


def test_a_name_has_a_pronoun() -> None:
    assert (words.pronouns("Ana")["s"], words.pronouns("Leo")["s"]) == ("she", "he")
    assert words.women() <= set(words.names())


def test_examples_hold_what_their_prompt_asks_for(examples: list[grammar.Example]) -> None:
    missing = [e for e in examples if not all(holds(e.answer, word) for word in e.asked)]
    assert missing == []


def test_any_word_may_stand_in_for_a_subject_but_held_out_ones_not_in_stories_and_verses(
    examples: list[grammar.Example],
) -> None:
    known = {*words.verse_topics(), *words.subjects(), *words.names()}
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
    known = {*words.verse_topics(), *words.subjects(), *words.names()}
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


def test_words_that_are_rare_in_the_corpus_are_words_all_the_same() -> None:
    fast = tokenizer.build(corpus.corpus_vocabulary(corpus.draw(20, seed=3)))
    chat, everyday = tables.read("chat"), tables.read("everyday")["sentences"]
    texts = [*chat["unknown things"][0], *chat["unknown forms"][0]]
    texts += [line.replace("/", " ") for group in everyday for line in group]
    for text in texts:
        assert len(fast.encode(text, add_special_tokens=False)) == elastic.length(text), text


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
