"""The corpus: what its tables can say, how its sentences are aligned, how they become tokens."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from dgemma_play.training import corpus, grammar, measures, model, tokenizer
from dgemma_play.training.grammar import (
    blanks,
    cards,
    elastic,
    forms,
    longforms,
    matters,
    naming,
    plots,
    poems,
    shortforms,
    standins,
    tables,
    talk,
    verses,
    words,
)
from dgemma_play.training.grammar.example import holds

CAST = plots.Cast(hero="fox", adjective="red", friend="owl", thing="silver bell", place="forest")

SLOTS = CAST.slots(random.Random(0))
SLOTS |= {
    "N": "Ana",
    "topic": "the sea",
    "hero": "a fox",
    "thing": "a bell",
    "r": "help",
    "k": "hat",
    "q": "warm",
    "friend": "an owl",
    "v": "write",
    "f": "an essay",
    "t": "tea",
}


def all_plots() -> list[plots.Plot]:
    """The plots of the stories, those of troubles and moods included."""
    named = [asked.plot for asked in (*plots.troubles(), *plots.moods())]
    return [*tables.read("plots").values(), *named]


def first_lines_ends() -> list[tables.Group]:
    """How first lines end, of any novel and of each kind."""
    return [tables.read("openings")["results"][0], *(ends for _, ends in tables.read("genres").values())]


def slots_and_lengths() -> list[tuple[tuple[str, ...], int]]:
    """Every slot's wordings with the length in tokens that the slot asks for."""
    short, chat, openings = tables.read("short"), tables.read("chat"), tables.read("openings")
    jokes = [tables.read("jokes")[part][0] for part in ("questions", "answers")]
    return [
        *(slot for plot in all_plots() for slot in zip(plot, plots.LENGTHS, strict=True)),
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
        *(
            (group, elastic.common_length(group))
            for kind in tables.read("greetings")
            for _, occasion in cards.occasions(kind)
            for group in occasion.groups
        ),
        *((taglines, elastic.common_length(taglines)) for *_, taglines in tables.read("named").values()),
        *(
            (frames, elastic.common_length(frames))
            for kind in tables.read("named")
            for frames in (naming.qualified(kind), naming.placed(kind))
            if frames
        ),
        *((openings[part][0], elastic.common_length(openings[part][0])) for part in ("times", "deeds")),
        *((ends, elastic.common_length(openings["results"][0])) for ends in first_lines_ends()),
        *(
            slot
            for topic in (*tables.read("dialogues").values(), *tables.read("talks").values())
            for slot in zip(topic, shortforms.DIALOGUE_TOKENS, strict=True)
        ),
        *((group, shortforms.ADVICE_TOKENS) for group in short["advice"]),
        (short["items"][0], matters.ITEM_TOKENS),
        *((things, matters.ITEM_TOKENS) for *_, things in tables.read("items").values()),
        *zip(short["recipe"][1:], matters.RECIPE_TOKENS[1:], strict=True),
        *(
            slot
            for _, *ways in tables.read("dishes").values()
            for slot in zip(ways, matters.RECIPE_TOKENS[1:], strict=True)
        ),
        *(
            (group, matters.TIP_TOKENS)
            for matter in matters.named()
            for group in tables.read("matters")[matter][-2:]
        ),
        (tables.read("matters")["general"][1], matters.TIP_TOKENS),
        *(
            (group[1], talk.CHAT_TOKENS[0])
            for heading, group in chat.items()
            if len(group) == 2 and heading != "no fact"
        ),
        *((chat[offers][0], talk.CHAT_TOKENS[1]) for offers in ("offer", "offer gently")),
        *zip(jokes, talk.JOKE_TOKENS, strict=True),
        (tuple(tables.pairs(tables.read("riddles")["things"][0]).values()), talk.RIDDLE_TOKENS),
        (tables.read("riddles")["anything"][0], talk.RIDDLE_TOKENS),
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


def test_what_names_a_thing_of_one_word_or_two_has_one_length() -> None:
    chat, general = tables.read("chat"), tables.read("matters")["general"][0]
    slots = [(chat["no fact"][1], talk.CHAT_TOKENS[0]), (chat["offer about"][0], talk.CHAT_TOKENS[1])]
    slots += [(general, matters.TIP_TOKENS), (tables.read("short")["recipe"][0], matters.RECIPE_TOKENS[0])]
    misfits = [
        (template, thing)
        for templates, tokens in slots
        for template in templates
        for thing in ("rain", "the sea")
        for text in [elastic.pick(random.Random(0), template)]
        if tokens not in map(elastic.length, elastic.fillings(text, {"x": thing, "topic": thing}))
    ]
    assert misfits == []


def test_every_dish_has_as_many_words_as_the_others() -> None:
    dishes = {k: v for group, *_ in tables.read("dishes").values() for k, v in tables.pairs(group).items()}
    lengths = {
        elastic.length(elastic.pick(random.Random(0), f"For {d}, take {n}.")) for d, n in dishes.items()
    }
    assert lengths == {matters.RECIPE_TOKENS[0]}


def test_tips_on_a_matter_name_it_and_what_cannot_be_done_is_said_to_be() -> None:
    table = tables.read("matters")
    for matter in matters.named():
        assert all(holds(first, matter) for first in table[matter][2]), matter
    rng = random.Random(0)
    chats = [talk.chat(rng) for _ in range(1500)]
    declined = sum(measures.has_form("refusal", example.answer) for example in chats)
    assert 0.5 < declined / len(chats) < 0.8
    assert not any(
        measures.has_form("refusal", f"{reply} Well.") for reply in tables.read("chat")["hello"][1]
    )


def test_an_unknown_form_is_called_by_two_words() -> None:
    called = {form: talk.called(form) for form in tables.read("chat")["unknown forms"][0]}
    assert {elastic.length(named) for _, named in called.values()} == {2}
    assert called["an email to my boss"] == ("write", "an email")
    assert called["a letter to the king"] == ("write", "such letters")
    assert called["a logo"] == ("draw", "a logo")


def test_every_line_of_a_haiku_is_drawn_for_some_topic() -> None:
    verse, haiku = tables.read("verse"), tables.read("haiku").values()
    openers = [line for group in verse["openers"] for line in group]
    drawn, opened, beside = set(), set(), set()
    phrases = {topic: phrase for topic, (phrase, _) in words.verse_topics().items()}
    for topic, phrase in (*phrases.items(), ("boat", "my grandmother's boat")):
        name = phrase.removeprefix("the ")
        first, *others = verses.haiku_lines(topic, phrase)
        drawn.update(*others)
        opened.update(opener for opener in openers if opener.format(t=phrase, n=name) in first)
        _, seconds, _ = verses.haiku_lines_for_two("fox", "the fox", phrase)
        beside.update(line for line in verse["beside"][0] if line.format(t=phrase) in seconds)
    assert set(openers) == opened
    assert set(verse["beside"][0]) == beside
    assert {line for groups in haiku for group in groups for line in group} == drawn


def test_every_heading_of_requests_is_asked_for_and_has_one_group() -> None:
    headings = tables.read("asks")
    assert {len(groups) for groups in headings.values()} == {1}
    code = {f"code {way}" for way in ("that", "to", "if", "question", "result", "named", "signature")}
    forms_asked = {"story", "haiku", "couplet", "poem", "opening", "dialogue", "advice", "name", "blank"}
    forms_asked |= {"tips on", "tips to", "dish", "joke", "joke about", "riddle", "riddle about"}
    parts = {"patterns", "before", "after", "moods", "relatives", "opening of", "dialogue about"}
    parts |= {"haiku of two"}
    kinds = tables.read("greetings").keys()
    unnamed = {f"{kind} unnamed" for kind in kinds}
    to_several = {
        f"{kind} unnamed plural"
        for kind in ("congratulation", "farewell", "thank you note", "greeting", "new year wish")
    }
    assert headings.keys() == code | forms_asked | parts | kinds | unnamed | to_several


def spelt_out(wording: str) -> list[str]:
    """A wording with every choice of its words, without what people leave out: capitals, signs."""
    texts = [wording]
    for group in elastic.alternatives(wording):
        texts = [text.replace("/".join(group), word, 1) for text in texts for word in group]
    small = (text.lower().replace("'", "") for text in texts)
    return [" ".join(re.sub(r"[^\w\s{}]", " ", text).split()) for text in small]


def wordings_by_answer() -> list[tuple[str, str]]:
    """Every whole wording of a request with the kind of answer, but for those that say a deed or a dish."""
    asks, chat = tables.read("asks"), tables.read("chat")
    parts = ("patterns", "before", "after", "moods", "relatives", "blank", "tips to", "dish")
    headings = [heading for heading in asks if heading not in parts and not heading.startswith("code ")]
    found = [
        (line.replace("{a}", "{x}"), re.sub(" (about|of|unnamed|plural)\\b", "", heading))
        for heading in headings
        for line in asks[heading][0]
    ]
    asked = [heading for heading, groups in chat.items() if len(groups) == 2 and heading != "no form"]
    found += [(line, f"chat {heading}") for heading in asked for line in chat[heading][0]]
    found += [(line, "chat no fact") for line in chat["noun questions"][0]]
    found += [
        (line.format(k=form), "chat no form")
        for line in chat["no form"][0]
        for form in chat["unknown forms"][0]
        if "{x}" not in line
    ]
    found += [
        (line, f"list {name}")
        for name, (kinds, questions, _) in tables.read("items").items()
        for line in (*kinds, *questions)
    ]
    told = (*tables.read("troubles").values(), *tables.read("moods").values())
    return found + [(line, "story") for groups in told for line in (*groups[0], *groups[1]) if "{x}" in line]


def test_one_prompt_has_one_kind_of_answer() -> None:
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for wording, answer in wordings_by_answer():
        for text in spelt_out(wording):
            answers[text].add(answer)
    several = {text: kinds for text, kinds in answers.items() if len(kinds) > 1}
    # Of these the subject shows it: a fox has a story, physics has none.
    by_subject = {"{x}", "{x} please", "tell me about {x}", "tell me everything about {x}"}
    assert several.keys() <= by_subject, several


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
        "described",
        "dialogues",
        "dishes",
        "everyday",
        "greetings",
        "haiku",
        "items",
        "jokes",
        "matters",
        "moods",
        "named",
        "occasions",
        "openings",
        "plots",
        "rhymes",
        "riddles",
        "sequels",
        "short",
        "troubles",
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


def test_nobody_asks_about_a_vinegar(examples: list[grammar.Example]) -> None:
    assert "vinegar" not in words.heroes()
    nouns = "|".join(sorted(words.uncountable() & words.subjects().keys()))
    alone = re.compile(rf"\ban? (?:\w+ )?(?:{nouns})(?:[.,!?]|$)")
    own = [e for e in examples if e.form in standins.FORMS]
    assert [e for e in own if alone.search(e.prompt) or alone.search(e.answer)] == []


def test_haiku_lines_have_five_seven_and_five_syllables() -> None:
    verse, haiku = tables.read("verse"), tables.read("haiku").values()
    groups = [*(verse[part] for part in ("openers", "beside", "together")), *haiku]
    lines = [line for parts in groups for group in parts for line in group]
    for choice in (choice for line in lines for choice in elastic.alternatives(line)):
        assert len({verses.syllables(word) for word in choice}) == 1, choice
    for topic in (*words.verse_topics(), *poems.names_in_verse()):
        phrase, _ = words.verse_topic(topic)
        for_two = verses.haiku_lines_for_two(topic, phrase, phrase)
        counts = (5, 7, 5, 5, 7, 5)
        for lines, count in zip((*verses.haiku_lines(topic), *for_two), counts, strict=True):
            drawn = {elastic.pick(random.Random(seed), line) for seed in range(3) for line in lines}
            assert {verses.syllables(line) for line in drawn} == {count}, topic


@pytest.fixture(scope="module")
def examples() -> list[grammar.Example]:
    return corpus.draw(3000, seed=3)


def test_who_is_sad_is_offered_no_function_and_no_bakery() -> None:
    rng = random.Random(0)
    answers = [talk.chat(rng).answer for _ in range(3000)]
    to_the_sad = [answer for answer in answers if answer.startswith(("Even the moon", "That is hard"))]
    assert len(to_the_sad) > 10
    assert not any("Python" in answer or "bakery" in answer for answer in to_the_sad)


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


def test_a_sentence_of_the_workbook_names_no_kind_of_word_and_says_no_word_twice() -> None:
    table, sentences = tables.read("workbook"), blanks.workbook()
    kinds = tables.pairs(table["kinds"][0])
    assert set(kinds) == set(re.findall(r"{(\w+)}", "\n".join(table["sentences"][0])))
    assert [s for s in sentences if "{" in s or not s.endswith((".", "?"))] == []
    pairs = [groups for heading, groups in table.items() if heading.startswith("pairs")]
    assert [line for frames, _ in pairs for line in frames if not ("{a}" in line and "{b}" in line)] == []
    assert [pair for _, words_alike in pairs for pair in words_alike if len(pair.split()) != 2] == []


def test_a_tenth_of_the_sentences_have_two_blanks() -> None:
    rng = random.Random(0)
    drawn = [blanks.blank(rng) for _ in range(1000)]
    blanks_drawn = Counter(len(re.findall(r"_{2,}", e.prompt)) for e in drawn)
    assert 0.02 < blanks_drawn[2] / len(drawn) < 0.12  # the other blanks look otherwise
    assert max(blanks_drawn) == 2


def test_a_greeting_may_be_for_two() -> None:
    rng = random.Random(0)
    greetings = [cards.greeting(rng) for _ in range(500)]
    named = [(e, [word for word in e.asked if word in words.names()]) for e in greetings]
    for_two = [(e, " and ".join(names)) for e, names in named if len(names) == 2]
    assert 10 < len(for_two) < 60
    assert all(pair in e.answer and pair in e.prompt for e, pair in for_two)


def test_a_greeting_without_a_name_is_to_whom_the_prompt_says_or_to_a_friend_or_to_friends() -> None:
    rng = random.Random(0)
    examples = [cards.greeting(rng) for _ in range(800)]
    called = Counter(
        word
        for e in examples
        if not {*e.asked} & {*words.names()}
        for word in ("friend", "friends", "boss", "teacher")
        if holds(e.answer, word)
    )
    assert called["friend"] > called["friends"] > 10
    assert min(called["boss"], called["teacher"]) > 2
    assert cards.address("thank my grandma, she helped my brother") == "Grandma"
    assert cards.address("a card from the whole class") == "friend"
    assert cards.address("a card to our old neighbors", several=True) == "neighbors"


def test_a_tagline_says_how_and_where_the_named_thing_is() -> None:
    rng = random.Random(0)
    described = [e for e in (naming.name(rng) for _ in range(400)) if e.asked]
    assert 120 < len(described) < 280
    for example in described:
        assert all(holds(example.prompt, word) and holds(example.answer, word) for word in example.asked)
    assert len({e.answer.partition(":")[0] for e in described}) > 0.8 * len(described)
    assert not any("Blue" in e.answer and holds(e.prompt, "red") for e in described)
    kinds = [kind for groups in tables.read("described").values() for kind in groups[0]]
    assert sorted(kinds) == sorted(tables.read("named"))


def test_a_card_says_the_reason_that_its_prompt_shows() -> None:
    table = tables.read("greetings")
    for kind in table:
        for _, occasion in cards.occasions(kind):
            found = cards.occasion_of(kind, f"a card about {occasion.said.replace('your', 'the')}")
            assert found is not None
            assert found.said == occasion.said
    congratulation = cards.occasion_of("congratulation", "my sister got married, what do I write?")
    assert congratulation is not None
    assert congratulation.said == "your wedding"
    assert cards.occasion_of("birthday wish", "a card for the new baby") is None


def test_an_apology_without_a_known_reason_invents_none() -> None:
    _, says, _ = tables.read("greetings")["apology"]
    assert [(line, cue) for line in says for cue, _ in cards.occasions("apology") if holds(line, cue)] == []


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


def test_a_plot_names_what_its_trouble_is_about_and_brings_a_friend() -> None:
    for trouble in plots.troubles():
        first, _, third, *_ = trouble.plot
        (matter, *others) = trouble.matters
        named = re.compile("{b}|{aB}|{bP}")
        assert all(named.search(line) or (holds(line, matter) and not others) for line in first)
        assert all("{A}" in line for line in first)
        assert all("{aF}" in line for line in third)
        assert len(trouble.clauses) > 4
    assert all("{aF}" in line for mood in plots.moods() for line in mood.plot[2])


def test_a_friend_is_new_to_a_story_in_its_third_sentence_alone() -> None:
    for plot in all_plots():
        brings = [{"{aF}" in line for line in wordings} for wordings in plot]
        assert brings == [{False}, {False}, {True}, {False}, {False}], plot


def test_on_the_moon_nobody_sees_another_moon_and_on_the_farm_one_is_not_in_it() -> None:
    rng = random.Random(0)
    cast = replace(plots.draw_cast(rng, "robot"), place="moon", matter="farm")
    assert cast.slots(rng)["bP"] == "on the farm"
    moon = tables.read("plots")["moon"]
    for _ in range(60):
        text = " ".join(plots.tell(rng, cast, tuple(moon)))
        assert "on the moon" not in text or text.count("moon") == 1, text


def test_no_rainy_morning_lies_under_snow_and_nobody_lies_awake_at_noon() -> None:
    rng = random.Random(0)
    by_matter = {trouble.matters[0]: trouble.plot for trouble in plots.troubles()}
    for matter, denied in (("snow", "rainy|spring"), ("sleep", "morning|day|afternoon")):
        told = [plots.tell(rng, replace(CAST, matter=matter), by_matter[matter])[0] for _ in range(90)]
        assert not [first for first in told if re.search(rf"\b({denied})\b", first)]
    assert all(len(words.times_beside(" ".join(sum(plot[:2], ())))) > 4 for plot in all_plots())


def test_no_lamp_comes_with_a_lamp() -> None:
    rng = random.Random(0)
    cast = replace(CAST, friend="lamp")
    told = [plots.tell(rng, cast, tuple(tables.read("plots")["lost"])) for _ in range(60)]
    assert all(third.lower().count("a lamp") == 1 for _, _, third, *_ in told)


def test_nobody_huge_is_too_small() -> None:
    rng = random.Random(0)
    cast = replace(CAST, adjective="huge")
    assert "small" not in {plots.draw_trouble(rng, cast)[1].matter for _ in range(300)}


def test_an_stands_only_before_words_that_were_asked_for() -> None:
    rng = random.Random(0)
    cast = replace(CAST, adjective="old", thing="old drum", matter="hat")
    for asked in ((), ("owl",), ("old",), ("drum", "owl")):
        told = [plots.with_a(rng, cast, asked) for _ in range(40)]
        assert {one.friend == "owl" for one in told} == {"owl" in asked}
        assert {one.adjective == "old" for one in told} == {"old" in asked}
        assert {one.thing == "old drum" for one in told} == {"drum" in asked}
        assert all("hat" not in (one.thing.split()[1], one.friend) for one in told)
    free = [plots.with_a(rng, plots.draw_cast(rng), ()) for _ in range(300)]
    words_drawn = [word for one in free for word in (one.adjective, one.friend, one.thing)]
    assert [word for word in words_drawn if elastic.takes_an(word)] == []


def ends_as(story: str, plot: plots.Plot) -> bool:
    """Whether the last sentence of a story is one of the plot's."""
    any_word = (
        re.sub(r"(the\\ )?\\{\w+\\}", ".+", re.escape(line), flags=re.IGNORECASE) for line in plot[-1]
    )
    return any(re.search(elastic.any_of_alternatives(line) + "$", story, re.IGNORECASE) for line in any_word)


def test_a_story_tells_the_trouble_and_the_mood_that_its_prompt_names() -> None:
    rng = random.Random(0)
    stories = [longforms.story(rng) for _ in range(1500)]
    dark = next(trouble for trouble in plots.troubles() if trouble.matters == ("dark",))
    spooky = next(mood for mood in plots.moods() if "spooky" in mood.words)
    for cue, plot in (
        ("(afraid|scared) of the dark", dark.plot),
        ("(spooky|creepy|eerie) (little )?(story|tale)", spooky.plot),
    ):
        asked = [e for e in stories if re.search(cue, e.prompt, re.IGNORECASE)]
        assert len(asked) > 4
        assert [e for e in asked if not ends_as(e.answer, plot)] == []


def test_a_hero_in_trouble_has_the_pronoun_of_the_prompt() -> None:
    rng = random.Random(0)
    for example in (longforms.story(rng) for _ in range(600)):
        found = re.search(r"who (?:lost|misses) (his|her|its) ", example.prompt)
        first = example.answer.partition(".")[0]
        if found and (said := re.search(r"\b(his|her|its)\b", first)):
            assert said[1] == found[1], example


def test_who_lost_a_hat_lost_no_friend_with_it() -> None:
    rng = random.Random(0)
    prompts = [longforms.story(rng).prompt for _ in range(900)]
    assert not [prompt for prompt in prompts if re.search(r"who (?:lost|loses) \w+ \w+ and an? ", prompt)]
    met = {
        found[0] for prompt in prompts if (found := re.search(r"who (?:was|is) .* (?:meets|met)\b", prompt))
    }
    assert met
    assert all(phrase.startswith("who was ") == phrase.endswith(" met") for phrase in met)


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
    rng = random.Random(0)
    more = [grammar.sample(rng, form) for form in standins.FORMS for _ in range(60)]  # some forms are rare
    outside = {e.form for e in (*asked, *more) if e.asked and e.asked[0] in words.held_out()}
    assert outside == {"opening", "dialogue", "advice", "joke"}
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
    about_one = [e for e in haiku if not about_two(e)]
    assert len(about_one) > 10
    for example in about_one:
        assert [elastic.length(line) for line in example.answer.splitlines()[1:]] == expected, example


def about_two(example: grammar.Example) -> bool:
    """Whether a haiku is about two: its last line is one of those that fit any two."""
    lines = tables.read("verse")["together"][0]
    return any(
        re.fullmatch(elastic.any_of_alternatives(line), example.answer.splitlines()[-1], re.IGNORECASE)
        for line in lines
    )


def test_a_haiku_about_two_holds_one_in_its_first_line_and_the_other_in_its_second() -> None:
    rng = random.Random(0)
    haiku = [poems.haiku(rng) for _ in range(1000)]
    for_two = [e for e in haiku if about_two(e)]
    assert 0.15 < len(for_two) / len(haiku) < 0.25
    for example in for_two:
        first, second, third = example.answer.splitlines()
        one, *_ = example.asked
        assert verses.mentions(first, one) == 1, example
        assert [w for w in example.asked if holds(second, w) and not holds(first, w)], example
        assert elastic.length(third) == 4
    for lines in verses.haiku_lines_for_two("cat", "the cat", "the moon"):
        assert len({elastic.length(elastic.pick(rng, line)) for line in lines}) == 1


def test_what_is_said_of_two_is_asked_of_haiku_about_two() -> None:
    rng = random.Random(0)
    said = re.compile("side by side|next to each other|in common|share (?:a haiku|seventeen)", re.IGNORECASE)
    asked = [e for e in (poems.haiku(rng) for _ in range(1500)) if said.search(e.prompt)]
    assert len(asked) > 4
    assert all(len(e.asked) > 1 and " and " in e.prompt for e in asked)


@pytest.mark.parametrize("form", ["haiku", "couplet", "poem"])
def test_a_verse_calls_its_topic_what_the_prompt_calls_it(form: str) -> None:
    rng = random.Random(0)
    drawn = [grammar.sample(rng, form) for _ in range(600)]
    owned = [e for e in drawn if any(word.endswith("'s") for word in e.asked)]
    assert len(owned) > 40
    for example in owned:
        topic = next(w for w, then in zip(example.asked, example.asked[1:], strict=False) if "'s" in then)
        phrase = re.search(rf"\w+'s (?:\w+ )?{topic}\b", example.prompt, re.IGNORECASE)
        assert phrase, example
        assert phrase[0].lower() in example.answer.lower(), example


@pytest.mark.parametrize("form", ["haiku", "couplet", "poem"])
def test_a_verse_names_its_topic_once(form: str) -> None:
    rng = random.Random(0)
    topics = {*words.verse_topics(), *words.names()}
    for example in (grammar.sample(rng, form, stand_ins=False) for _ in range(400)):
        for topic in topics.intersection(example.asked):
            assert verses.mentions(example.answer, topic) == 1, example


def test_sixteen_verses_about_one_topic_open_in_many_ways() -> None:
    rng = random.Random(0)
    for phrase in ("the lake", "love", "my sister's cat"):
        heads = {" ".join(poems.head(rng, phrase).split()[:4]) for _ in range(16)}
        assert len(heads) >= 12, phrase


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


def test_nouns_can_be_drawn_where_all_are_rare() -> None:
    _, rare = words.by_rarity(words.subjects())
    rng = random.Random(0)
    assert {words.draw(rng, rare[:3]) for _ in range(60)} == set(rare[:3])


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
