"""The player in Chromium, on made-up traces: replay, live runs, focus, keys, states, memory, hostile text."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from dgemma_play import codec
from dgemma_play.analysis import settled_step
from dgemma_play.messages import LiveEncoder
from dgemma_play.page import player as assets
from dgemma_play.trace import Trace
from tests.app.conftest import close_tab, drawn
from tests.app.player_host import Host, serve
from tests.synthetic import END, HOSTILE, frames_of, live_records, synthetic

TRACE = synthetic(drafts=4, canvas=48, steps=12)
MOVEMENT = (Path(__file__).parent / "movement.js").read_text(encoding="utf-8")
OPEN = """async ([data, source]) => {
  await player.restored;
  const { buffer } = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  if (source === "example") await player.examples(buffer);
  else await player.openTrace(buffer, { name: "test", source });
}"""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with serve() as host:
        yield host


@pytest.fixture
def visit(host: Host, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """A page with the player; `trace` is opened in it."""

    def go(trace: Trace | None = TRACE, source: str = "run", dark: bool = False, **options: Any) -> Page:
        page = open_page(**options)
        page.goto(host.url)
        if dark:
            page.evaluate("document.body.classList.add('dark')")
        if trace is not None:
            open_trace(page, trace, source)
        return page

    return go


def open_trace(page: Page, trace: Trace, source: str = "run") -> None:
    page.evaluate(OPEN, [base64.b64encode(codec.encode(trace)).decode(), source])


def feed(page: Page, records: list[str]) -> None:
    """As the sink does; what the browser remembers of it is written, so that a reload may follow."""
    page.evaluate(
        "async (text) => { await player.sink(text); player.render(); await player.store.lastRun(); }",
        "\n".join(records),
    )


def ended(state: str, url: str = "data:,", run: str = "run-1") -> str:
    """The sink's record of a run's end; without a `url` its file does not come."""
    return "s" + json.dumps({"state": state, "run": run, "url": url, "name": "run"})


def slide(page: Page, step: int) -> None:
    """As a hand on the slider does."""
    page.get_by_label("Step").evaluate(
        """(slider, step) => {
          slider.value = step;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        step,
    )


def card(page: Page, draft: int) -> Locator:
    return page.locator(f".card[data-draft='{draft}']")


def readable(page: Page, draft: int) -> str:
    """What a person can read of a draft on the wall: no noise, no end-of-text dots."""
    return (
        card(page, draft)
        .locator(".canvas")
        .evaluate(
            """(canvas) => {
          const seen = (span) => !span.hidden && !/ (z|off|e)( |$)/.test(span.className);
          const spans = [...canvas.querySelectorAll(".t")].filter(seen);
          return spans.map((span) => span.firstChild.data).join(" ");
        }"""
        )
    )


def words_of(trace: Trace, draft: int) -> str:
    ids = [int(i) for i in trace.tracks[draft].committed_ids if i != END]
    return " ".join(word for i in ids if (word := trace.words[i].strip()))


# --- replay --------------------------------------------------------------------------------------


def test_the_last_position_shows_the_committed_text_and_the_first_only_noise(
    visit: Callable[..., Page],
) -> None:
    page = visit()

    assert readable(page, 0) == words_of(TRACE, 0)
    slide(page, 0)
    assert [readable(page, draft) for draft in range(4)] == [""] * 4
    assert page.locator(".card").first.locator(".t.z > i").first.inner_text() != ""


def test_the_slider_scrubs_all_drafts_and_a_short_draft_holds_its_last_pass(
    visit: Callable[..., Page],
) -> None:
    page = visit()
    lengths = [len(track.step) - 1 for track in TRACE.tracks]
    short = lengths.index(min(lengths))
    assert page.get_by_label("Step").get_attribute("max") == str(max(lengths))

    slide(page, min(lengths))

    assert readable(page, short) == words_of(TRACE, short)
    assert f"{min(lengths)} steps" in card(page, short).locator(".nums").inner_text()
    longest = lengths.index(max(lengths))
    assert readable(page, longest) != words_of(TRACE, longest)
    assert "undecided" in card(page, longest).locator(".nums").inner_text()


def test_a_card_and_its_lines_never_change_their_size(visit: Callable[..., Page]) -> None:
    page = visit(synthetic(drafts=4, canvas=48, steps=8, blocks=2))
    sizes = page.evaluate(
        """() => {
          const seen = new Set();
          const last = Number(document.querySelector("[aria-label=Step]").max);
          for (let slot = 0; slot <= last; slot++) {
            player.act.go(slot, true);
            const all = (query) => [...document.querySelectorAll(query)];
            const boxes = all(".card, .card .canvas").map((e) => e.getBoundingClientRect());
            const heights = all(".card .t:not(.e)").map((e) => e.getClientRects()[0]?.height);
            seen.add(JSON.stringify([boxes.map((b) => [b.x, b.y, b.width, b.height])]));
            heights.filter(Boolean).forEach((height) => seen.add(`line ${Math.round(height)}`));
          }
          return [...seen];
        }"""
    )

    assert len([entry for entry in sizes if not entry.startswith("line")]) == 1
    assert len([entry for entry in sizes if entry.startswith("line")]) == 1


def test_words_hold_still_in_replay(visit: Callable[..., Page]) -> None:
    page = visit(synthetic(drafts=4, canvas=64, steps=40))

    assert page.evaluate(MOVEMENT, None)["mean"] <= 2


def test_words_hold_still_while_a_run_is_live(visit: Callable[..., Page]) -> None:
    page = visit(None)

    moved = page.evaluate(MOVEMENT, live_records(synthetic(drafts=4, canvas=64, steps=40)))

    assert moved["words"] > 500
    assert moved["mean"] <= 3


def test_play_walks_through_the_steps_and_stops_at_the_text(visit: Callable[..., Page]) -> None:
    page = visit(synthetic(drafts=1, canvas=16, steps=4, early=False))
    page.get_by_role("radio", name="2×").click()

    page.get_by_role("button", name="Play").click()

    expect(page.get_by_label("Step")).to_have_value("4")
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_the_slider_says_block_step_and_share(visit: Callable[..., Page]) -> None:
    page = visit(synthetic(drafts=2, canvas=24, steps=6, blocks=2, early=False))
    slide(page, 9)

    assert "block 2, step 2" in (page.get_by_label("Step").get_attribute("aria-valuetext") or "")
    assert "block 2" in page.locator(".t-ends").inner_text()


def test_the_wall_says_which_prompt_it_answers(visit: Callable[..., Page]) -> None:
    asked = visit(synthetic(drafts=1, canvas=48, steps=4, hostile=True)).locator(".asked")
    expect(asked).to_contain_text(HOSTILE[0])
    expect(visit(TRACE, "example").locator(".asked")).to_be_empty()


def test_a_line_behind_a_break_begins_without_its_words_blank(visit: Callable[..., Page]) -> None:
    final = TRACE.tracks[0].best_ids[-1]
    place = next(p for p in range(1, 40) if TRACE.words[int(final[p])].startswith(" "))
    broken = dataclasses.replace(TRACE, words={**TRACE.words, int(final[place - 1]): "\n"})
    page = visit(broken)
    page.keyboard.press("End")
    word = page.locator(f".card:first-child .t[data-p='{place}']")
    assert word.evaluate("(span) => span.previousSibling.data") == "\n"


def hebrew(trace: Trace) -> Trace:
    """The same run in letters that are read from the right."""
    letters = str.maketrans({chr(97 + k): chr(0x5D0 + k) for k in range(26)})
    words = {number: word.lower().translate(letters) for number, word in trace.words.items() if number != END}
    return dataclasses.replace(trace, words=words | {END: trace.words[END]})


@pytest.mark.parametrize("live", [False, True], ids=["replay", "live"])
def test_text_that_is_read_from_the_right_begins_there_and_holds_still(
    visit: Callable[..., Page], live: bool
) -> None:
    trace = hebrew(synthetic(drafts=4, canvas=64, steps=40))
    page = visit(None if live else trace)

    moved = page.evaluate(MOVEMENT, live_records(trace) if live else None)

    assert moved["words"] > 100
    assert moved["mean"] <= (3 if live else 2)
    rows = page.evaluate(
        """() => [...document.querySelectorAll(".card .canvas")].map((canvas) => {
          const box = canvas.getBoundingClientRect();
          const words = [...canvas.querySelectorAll(".t:not(.e)")].map((t) => t.getBoundingClientRect());
          const first = words.filter((word) => Math.abs(word.top - words[0].top) < 4);
          const rightmost = Math.max(...first.map((word) => word.right));
          const leftmost = Math.min(...words.map((word) => word.left));
          return [canvas.dir, rightmost - words[0].right, box.right - rightmost, leftmost - box.left];
        })"""
    )
    for direction, ahead, margin, room in rows:
        assert direction == "rtl"
        assert ahead == 0  # the first word is the rightmost of its line
        assert 0 <= margin < 20
        assert room > 0


# --- colours and noise ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["confidence", "entropy", "settled step", "revisions", "rank", "none"])
def test_every_colouring_has_its_legend(visit: Callable[..., Page], name: str) -> None:
    page = visit()
    slide(page, 9)

    page.get_by_role("radio", name=name, exact=True).click()

    expect(page.get_by_role("radio", name=name, exact=True)).to_have_attribute("aria-checked", "true")
    expect(page.locator(".legend")).to_have_text("" if name == "none" else _LEGENDS[name])


_LEGENDS = {
    "confidence": "unsuresure",
    "entropy": "5 nats0",
    "settled step": f"step 1step {max(len(track.step) for track in TRACE.tracks) - 1}",
    "revisions": "as writtenchanged oncemore often",
    "rank": "likeliestunlikely",
}


def test_a_settled_step_has_one_colour_in_all_blocks(visit: Callable[..., Page]) -> None:
    trace = synthetic(drafts=3, canvas=32, steps=12, blocks=2)
    last = max(int(track.step.max()) for track in trace.tracks)
    uneven = [len({int(t.step[t.block == block].max()) for block in (0, 1)}) > 1 for t in trace.tracks]
    draft = uneven.index(True)
    track = trace.tracks[draft]
    page = visit(trace)

    page.get_by_role("radio", name="settled step").click()

    passes = [track.best_ids[(track.block == block) & track.has_guess] for block in (0, 1)]
    settled = np.concatenate([settled_step(each) for each in passes])
    band_of = "(word) => [Number(word.dataset.p), Number(/ w([0-9]+)/.exec(word.className)[1])]"
    bands = card(page, draft).locator(".t.w").evaluate_all(f"(words) => words.map({band_of})")
    assert {position // 32 for position, _ in bands} == {0, 1}
    for position, band in bands:
        assert band == int(15 * (settled[position] - 1) / (last - 1) + 0.5)


def test_undecided_positions_are_grain_tokens_or_best_guess(visit: Callable[..., Page]) -> None:
    page = visit()
    slide(page, 4)
    noise = card(page, 0).locator(".t.z > i")
    assert "\ue000" <= noise.first.inner_text()[0] <= "\ue047"

    page.get_by_role("radio", name="tokens").click()
    drawn(page)
    assert any(char.isascii() and char.isalnum() for char in "".join(noise.all_inner_texts()))

    page.get_by_role("radio", name="best guess").click()
    drawn(page)
    assert readable(page, 0).count(" ") > 30
    expect(noise).to_have_count(0)


def test_noise_is_never_read_aloud_nor_selected(visit: Callable[..., Page]) -> None:
    page = visit()
    slide(page, 0)

    said = page.evaluate(
        """() => {
          getSelection().selectAllChildren(document.querySelector(".card .canvas"));
          return getSelection().toString().trim();
        }"""
    )

    assert said == ""
    assert card(page, 0).locator(".t > i:not([aria-hidden])").count() == 0


def test_switches_are_groups_that_arrows_walk_through(visit: Callable[..., Page]) -> None:
    page = visit()
    page.get_by_role("radio", name="confidence").focus()

    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="entropy")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")

    expect(page.get_by_role("radio", name="none")).to_have_attribute("aria-checked", "true")
    last = page.get_by_label("Step").get_attribute("max") or ""
    expect(page.get_by_label("Step")).to_have_value(last)  # the arrows were not the slider's


# --- cards ---------------------------------------------------------------------------------------


def test_a_card_says_seed_steps_and_why_it_stopped(visit: Callable[..., Page]) -> None:
    page = visit()
    track = TRACE.tracks[1]

    assert f"seed {track.seed}" in card(page, 1).inner_text()
    why = {"stable": "stable, end of text", "steps": "step cap, end of text"}[track.canvas_ended[-1]]
    assert card(page, 1).locator(".nums").inner_text() == f"{track.steps_used} steps · {why}"


def test_copy_gives_the_clean_text(visit: Callable[..., Page]) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    slide(page, 3)

    card(page, 2).hover()
    card(page, 2).get_by_role("button", name="Copy draft 3").click()

    expect(page.locator("[role=status]")).to_have_text("Draft 3 copied.")
    expect(card(page, 2).locator(".dg-icon-done")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == TRACE.tracks[2].text


def test_a_draft_without_a_finished_text_is_not_copied(visit: Callable[..., Page]) -> None:
    page = visit(None)
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8))[:4])

    card(page, 1).hover()
    card(page, 1).get_by_role("button", name="Copy draft 2").click()

    expect(page.locator("[role=status]")).to_have_text("Draft 2 has no text.")


def test_without_a_pointer_that_hovers_nothing_unseen_is_pressed(visit: Callable[..., Page]) -> None:
    page = visit(viewport={"width": 1024, "height": 768}, has_touch=True, is_mobile=True)

    expect(card(page, 0).locator(".acts")).to_be_hidden()
    card(page, 0).locator(".nums").tap()

    expect(page.get_by_role("region", name="Focus")).to_be_visible()


def test_whole_texts_are_shown_on_demand(visit: Callable[..., Page]) -> None:
    page = visit(synthetic(drafts=2, canvas=200, steps=4))
    assert "more" in (card(page, 0).get_attribute("class") or "").split()
    cut = card(page, 0).evaluate("(card) => card.clientHeight")

    page.get_by_role("button", name="Show whole texts").click()

    assert card(page, 0).evaluate("(card) => card.clientHeight") > cut
    last = card(page, 0).locator(".t").last
    assert last.evaluate(
        "(t) => t.closest('.card').getBoundingClientRect().bottom > t.getBoundingClientRect().bottom"
    )


# --- focus ---------------------------------------------------------------------------------------


def test_focus_shows_a_position_with_its_rivals_and_story(visit: Callable[..., Page]) -> None:
    page = visit()
    card(page, 1).click()
    slide(page, 2)
    inspector = page.get_by_role("complementary", name="Token")
    expect(inspector).to_contain_text("Point at a word")

    page.locator(".f-text .t").nth(5).click(force=True)

    expect(inspector).to_contain_text("position 5")
    expect(inspector.locator(".riv")).to_have_count(5)
    expect(inspector.locator(".story li").last).to_contain_text("from")
    slide(page, 0)
    expect(inspector).to_contain_text("There is no guess yet")


def test_a_word_is_inspected_after_a_moment_of_pointing_and_held_by_a_click(
    visit: Callable[..., Page],
) -> None:
    page = visit()
    card(page, 0).click()
    inspector = page.get_by_role("complementary", name="Token")

    at_once = page.evaluate(
        """async () => {
          const word = document.querySelectorAll(".f-text .t")[3];
          word.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
          player.render();
          return document.querySelector(".insp").textContent;
        }"""
    )
    assert "position 3" not in at_once
    expect(inspector).to_contain_text("position 3")
    page.locator(".f-text .t").nth(3).click()
    page.locator(".f-text .t").nth(8).hover()
    expect(inspector).to_contain_text("position 8")
    page.mouse.move(2, 2)
    expect(inspector).to_contain_text("position 3")


def test_a_click_on_the_heatmap_goes_to_its_step_and_position(visit: Callable[..., Page]) -> None:
    page = visit()
    card(page, 0).click()
    heat = page.locator("canvas.heat")
    box = heat.bounding_box()
    assert box
    last = int(page.get_by_label("Step").get_attribute("max") or 0)

    heat.click(position={"x": box["width"] * 6 / last, "y": box["height"] * (10.5 / 48)})

    expect(page.get_by_label("Step")).to_have_value("6")
    expect(page.get_by_role("complementary", name="Token")).to_contain_text("position 10")


def test_heatmap_timeline_and_slider_share_one_axis(visit: Callable[..., Page]) -> None:
    page = visit()
    card(page, 0).click()
    slide(page, 7)

    edges = [page.locator(name).bounding_box() for name in ("canvas.heat", "canvas.time", ".t-track canvas")]

    assert len({(round(box["x"]), round(box["width"])) for box in edges if box}) == 1
    reds = page.evaluate(
        """() => [...document.querySelectorAll("canvas.heat, canvas.time")].map((canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 2, canvas.width, 1);
          const red = [];
          const isRed = (x) => data[4 * x] === 194 && data[4 * x + 1] === 57;
          for (let x = 0; x < canvas.width; x++) if (isRed(x)) red.push(x);
          return red[0] / canvas.width;
        })"""
    )
    last = int(page.get_by_label("Step").get_attribute("max") or 0)
    assert reds == pytest.approx([7 / last, 7 / last], abs=0.01)


def test_the_buttons_of_a_draft_ask_the_page(visit: Callable[..., Page]) -> None:
    page = visit()
    card(page, 2).click()

    page.get_by_role("button", name="Heatmap").click()
    page.get_by_role("button", name="Timeline").click()

    asked = page.evaluate("asked")
    assert asked == [["figure", {"kind": kind, "draft": 2}] for kind in ("heatmap", "timeline")]


# --- keys ----------------------------------------------------------------------------------------


def test_the_keys_do_what_their_sheet_says(visit: Callable[..., Page]) -> None:
    page = visit()
    step = page.get_by_label("Step")
    last = step.get_attribute("max") or ""
    press = page.keyboard.press

    press("Home")
    expect(step).to_have_value("0")
    press("ArrowRight")
    press("ArrowRight")
    press("ArrowLeft")
    expect(step).to_have_value("1")
    press("End")
    expect(step).to_have_value(last)
    press("3")
    expect(card(page, 2)).to_be_focused()
    press("k")
    expect(card(page, 2).get_by_role("button", name="Keep")).to_have_attribute("aria-pressed", "true")
    press("g")
    expect(page.get_by_role("radio", name="tokens")).to_have_attribute("aria-checked", "true")
    press("Enter")
    expect(page.get_by_role("region", name="Focus")).to_be_visible()
    expect(page.get_by_role("region", name="Text of the draft")).to_be_focused()
    for key in "..,":
        press(key)
    expect(page.locator(".insp h2")).to_contain_text("position 0")
    expect(page.locator(".bar [role=status]")).to_contain_text(
        re.compile("^Position 0: “.+”, .+ step [0-9]+[.]$")
    )
    press("1")
    expect(page.get_by_role("button", name="Draft 1", exact=True)).to_have_attribute("aria-current", "true")
    press("Escape")
    expect(card(page, 0)).to_be_focused()
    press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    press("Escape")
    press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_keys_act_on_the_card_that_has_the_focus_whatever_came_meanwhile(
    visit: Callable[..., Page], host: Host
) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    host.files["/focused.dgemma"] = codec.encode(trace)
    page = visit(None)
    records = live_records(trace)
    feed(page, records[:5])
    page.keyboard.press("2")

    feed(page, [*records[5:], ended("finished", "/focused.dgemma")])

    expect(page.locator(".progress")).to_contain_text("Finished")
    expect(card(page, 1)).to_be_focused()
    card(page, 0).get_by_role("button", name="Keep draft 1").focus()
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Keep draft 1")).to_have_attribute("aria-pressed", "true")
    card(page, 1).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Draft 2", exact=True)).to_have_attribute("aria-current", "true")


def test_a_kept_draft_that_is_removed_leaves_the_focus_in_the_list(visit: Callable[..., Page]) -> None:
    page = visit()
    for draft in (1, 2):
        page.get_by_role("button", name=f"Keep draft {draft}").click()
    page.locator(".dg-kept").click()
    dialog = page.get_by_role("dialog")

    dialog.get_by_role("button", name="Remove").first.click()
    expect(dialog.locator("article")).to_have_count(1)
    expect(dialog.get_by_role("button", name="Copy", exact=True)).to_be_focused()
    dialog.get_by_role("button", name="Remove").click()

    expect(dialog.get_by_role("button", name="Close")).to_be_focused()


def test_no_key_acts_while_a_text_box_has_the_focus(visit: Callable[..., Page]) -> None:
    page = visit()
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), { id: 'prompt' }))")
    page.locator("#prompt").focus()

    page.keyboard.type("3 kg?")
    page.keyboard.press("Home")

    assert page.locator("#prompt").input_value() == "3 kg?"
    assert page.get_by_label("Step").input_value() != "0"
    assert page.locator(".card.sel").count() == 0
    assert page.evaluate("asked") == []


# --- live ----------------------------------------------------------------------------------------


def test_the_run_before_stays_until_the_first_frame_of_the_next(visit: Callable[..., Page]) -> None:
    page = visit()
    start, *messages = live_records(synthetic(drafts=2, canvas=32, steps=8, seed=5))

    feed(page, [start])
    expect(page.locator(".card")).to_have_count(4)
    assert readable(page, 0) == words_of(TRACE, 0)
    feed(page, messages[:1])

    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator(".wall")).to_have_attribute("aria-busy", "true")
    expect(page.locator(".progress")).to_contain_text("Denoising")


def test_a_held_word_is_let_go_where_another_run_comes(visit: Callable[..., Page]) -> None:
    page = visit()
    card(page, 1).click()
    page.locator(".f-text .t").nth(5).click(force=True)
    inspector = page.get_by_role("complementary", name="Token")
    expect(inspector).to_contain_text("position 5")
    page.mouse.move(1, 1)  # held, not pointed at

    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8, seed=5))[:3])

    expect(page.get_by_role("region", name="Focus")).to_be_visible()
    expect(inspector).to_contain_text("Point at a word")


def test_a_live_run_is_followed_until_a_hand_is_on_the_slider(visit: Callable[..., Page]) -> None:
    page = visit(None)
    records = live_records(synthetic(drafts=2, canvas=32, steps=8, early=False))
    feed(page, records[:5])
    step = page.get_by_label("Step")
    expect(step).to_have_value("3")
    expect(page.locator(".t-right")).to_contain_text("live")
    expect(page.locator(".progress")).to_contain_text("per step and draft")

    slide(page, 1)
    feed(page, records[5:7])
    expect(step).to_have_value("1")
    page.keyboard.press("End")
    feed(page, records[7:8])
    expect(step).to_have_value("6")


def test_the_file_takes_the_place_of_what_was_received(visit: Callable[..., Page], host: Host) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    host.files["/run.dgemma"] = codec.encode(trace)
    page = visit(None)

    end = {"state": "finished", "run": "run-1", "url": "/run.dgemma", "name": "run"}
    feed(page, [*live_records(trace), "s" + json.dumps(end)])

    expect(page.locator(".progress")).to_contain_text("Finished")
    expect(page.locator("[role=status]")).to_have_text("Finished.")
    expect(page.locator(".wall")).to_have_attribute("aria-busy", "false")
    assert readable(page, 1) == words_of(trace, 1)
    card(page, 1).click()
    page.locator(".f-text .t").nth(2).click()
    slide(page, 1)
    expect(page.locator(".riv")).to_have_count(5)


def test_a_stopped_run_keeps_what_arrived_even_without_its_file(visit: Callable[..., Page]) -> None:
    page = visit(None)
    end = {"state": "stopped", "run": "run-1", "url": "data:,", "name": "run"}

    feed(page, [*live_records(synthetic(drafts=2, canvas=32, steps=8))[:6], "s" + json.dumps(end)])

    expect(page.locator(".progress")).to_contain_text("Stopped")
    expect(page.get_by_label("Step")).to_have_attribute("max", "4")
    assert card(page, 0).locator(".nums").inner_text() == "4 steps · stopped"


def test_a_draft_kept_in_mid_run_gets_the_text_that_it_ends_with(
    visit: Callable[..., Page], host: Host
) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    host.files["/kept.dgemma"] = codec.encode(trace)
    page = visit(None)
    records = live_records(trace)
    feed(page, records[:4])
    page.get_by_role("button", name="Keep draft 2").click()
    expect(page.locator(".dg-kept")).to_contain_text("1")

    feed(page, [*records[4:], ended("finished", "/kept.dgemma")])
    page.reload()
    page.locator(".dg-kept").click()

    expect(page.get_by_role("dialog").locator(".text")).to_have_text(trace.tracks[1].text)


def test_a_star_stays_on_its_draft_where_one_before_it_never_began(visit: Callable[..., Page]) -> None:
    page = visit(None)
    trace = synthetic(drafts=3, canvas=32, steps=8)
    encoder = LiveEncoder("run-1", trace.canvas_length)
    frames = [frame for draft in (0, 2) for frame in frames_of(trace.tracks[draft], draft)]
    feed(page, [live_records(trace)[0], "m" + encoder.encode(frames, trace.words)])
    card(page, 2).click()
    page.get_by_role("button", name="Keep", exact=True).click()

    feed(page, [ended("stopped")])

    expect(page.locator(".f-facts")).to_contain_text(f"seed {trace.tracks[2].seed}")
    expect(page.get_by_role("button", name="Kept", exact=True)).to_be_visible()
    expect(page.locator(".f-pick .k")).to_have_text("2")


def test_a_draft_stopped_by_hand_is_stopped_whatever_its_guess_holds(visit: Callable[..., Page]) -> None:
    page = visit(None)
    trace = synthetic(drafts=1, canvas=32, steps=8)
    ends = ("",) * (len(trace.tracks[0].step) - 1) + ("stopped",)
    stopped = dataclasses.replace(trace.tracks[0], canvas_ended=ends)

    feed(page, live_records(dataclasses.replace(trace, tracks=(stopped,))))

    expect(card(page, 0).locator(".nums")).to_have_text(f"{stopped.steps_used} steps · stopped")


def test_a_draft_cut_off_between_its_blocks_says_so(visit: Callable[..., Page]) -> None:
    trace = synthetic(drafts=1, canvas=32, steps=8, early=False)
    page = visit(dataclasses.replace(trace, tracks=(dataclasses.replace(trace.tracks[0], ended="stopped"),)))

    expect(card(page, 0).locator(".nums")).to_have_text("8 steps · step cap, stopped")


def test_passes_whose_frames_were_left_out_are_counted(visit: Callable[..., Page]) -> None:
    page = visit(None)
    trace = synthetic(drafts=1, canvas=32, steps=8, early=False)
    encoder = LiveEncoder("run-1", trace.canvas_length)
    frames = [frame for frame in frames_of(trace.tracks[0], 0) if frame.step in (0, 1, 4, 8)]

    feed(page, [live_records(trace)[0], "m" + encoder.encode(frames, trace.words)])

    expect(card(page, 0).locator(".nums")).to_contain_text("8 steps")


def test_a_message_that_never_came_leaves_its_words_open_and_the_wall_goes_on(
    visit: Callable[..., Page],
) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8, early=False)
    page = visit(None)
    status, first, _, *others = live_records(trace)

    feed(page, [status, first, *others])

    expect(page.get_by_label("Step")).to_have_value("8")
    assert "…" in readable(page, 0) + readable(page, 1)


def test_a_run_whose_messages_at_a_new_block_were_lost_goes_on(visit: Callable[..., Page]) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=6, blocks=2, early=False)
    page = visit(None)
    records = live_records(trace)

    feed(page, [*records[:5], *records[9:]])

    expect(page.locator(".progress")).to_contain_text("block 2 of 2")
    expect(card(page, 1).locator(".nums")).to_contain_text("steps")


def test_a_draft_whose_whole_block_was_lost_waits_for_the_file(visit: Callable[..., Page]) -> None:
    trace = synthetic(drafts=1, canvas=32, steps=6, blocks=3, early=False)
    page = visit(None)
    status, *messages = live_records(trace)
    blocks = [int(block) for block in trace.tracks[0].block]

    feed(page, [status, *(m for m, block in zip(messages, blocks, strict=True) if block != 1)])

    expect(page.locator(".progress")).to_contain_text("block 1 of 3")
    expect(page.get_by_label("Step")).to_have_value("6")


@pytest.mark.parametrize(
    "away",
    ["Promise.reject(new TypeError('Failed to fetch'))", "Promise.resolve(new Response('', {status: 503}))"],
)
def test_a_file_is_fetched_again_where_the_network_was_away(
    visit: Callable[..., Page], host: Host, away: str
) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    host.files["/far.dgemma"] = codec.encode(trace)
    page = visit(None)
    page.evaluate(
        f"() => {{ const real = fetch; let n = 0; globalThis.fetch = (url) => (n++ ? real(url) : {away}); }}"
    )

    feed(page, [*live_records(trace), ended("finished", "/far.dgemma")])

    expect(page.locator(".progress")).to_contain_text("Finished")
    expect(page.get_by_role("button", name="Download")).to_be_visible()


def test_a_file_that_never_comes_is_told_and_what_was_received_stays(visit: Callable[..., Page]) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    page = visit(None)
    page.clock.install()
    page.evaluate("() => { globalThis.fetch = () => Promise.reject(new TypeError('Failed to fetch')); }")
    feed(page, live_records(trace))

    page.evaluate("(text) => { player.sink(text); }", ended("finished", "/far.dgemma"))
    for _ in range(4):  # tries
        page.clock.run_for(6_000)

    expect(page.locator(".progress.alarm")).to_contain_text("The run's file could not be fetched")
    assert readable(page, 1) == words_of(trace, 1)


def test_a_hand_on_the_slider_while_the_file_comes_is_obeyed(visit: Callable[..., Page], host: Host) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8, early=False)
    host.files["/slow.dgemma"] = codec.encode(trace)
    page = visit(None)
    feed(page, live_records(trace))
    page.evaluate(
        """() => {
          const real = fetch;
          globalThis.fetch = (url) => real(url).finally(() => player.act.go(2, true));
        }"""
    )

    feed(page, [ended("finished", "/slow.dgemma")])

    expect(page.locator(".progress")).to_contain_text("Replay")
    expect(page.get_by_label("Step")).to_have_value("2")


def test_a_run_whose_memory_fails_stays_on_screen(visit: Callable[..., Page], host: Host) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    host.files["/whole.dgemma"] = codec.encode(trace)
    page = visit(None)
    page.evaluate("() => { player.store.runs = () => Promise.reject(new Error('no')); }")

    feed(page, [*live_records(trace), ended("finished", "/whole.dgemma")])

    expect(page.locator(".progress")).to_contain_text("Finished")
    expect(page.locator(".progress.alarm")).to_have_count(0)
    expect(page.get_by_role("button", name="Download")).to_be_visible()


def test_a_failure_is_a_sentence_and_leaves_the_drafts(visit: Callable[..., Page]) -> None:
    page = visit()

    feed(
        page,
        ["s" + json.dumps({"state": "failed", "run": None, "sentence": "steps must be 1 to 128, got 0."})],
    )

    expect(page.locator(".progress")).to_contain_text("steps must be 1 to 128, got 0.")
    assert readable(page, 0) == words_of(TRACE, 0)


def test_a_run_that_fails_keeps_what_had_arrived(visit: Callable[..., Page]) -> None:
    page = visit()
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8, early=False))[:5])

    feed(
        page,
        ["s" + json.dumps({"state": "failed", "run": "run-1", "sentence": "The card is out of memory."})],
    )

    line = page.locator(".progress")
    expect(line).to_contain_text("Failed. What had arrived stays")
    assert line.inner_text().count("out of memory") == 1
    assert card(page, 0).locator(".nums").inner_text() == "3 steps · failed"
    slide(page, 1)
    expect(page.get_by_label("Step")).to_have_value("1")


def test_the_line_is_said_in_words(visit: Callable[..., Page]) -> None:
    page = visit(None)

    feed(page, ["s" + json.dumps({"state": "queued", "place": 2, "seconds": 11.2})])

    expect(page.locator(".progress")).to_have_text("Waiting 2 runs before yoursabout 12 s to go")


def test_esc_stops_a_run_also_from_a_text_box(visit: Callable[..., Page]) -> None:
    page = visit(None)
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8))[:3])
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), { id: 'prompt' }))")

    page.locator("#prompt").press("Escape")
    card(page, 1).hover()
    card(page, 1).get_by_role("button", name="Stop draft 2").click()

    assert page.evaluate("asked") == [["stop", {}], ["stop_draft", {"draft": 1}]]


def test_a_damaged_message_is_survived(visit: Callable[..., Page]) -> None:
    page = visit(None)
    start, *messages = live_records(synthetic(drafts=2, canvas=32, steps=8))

    feed(page, [start, "m!!!", messages[0], messages[3], messages[1]])

    expect(page.get_by_label("Step")).to_have_value("3")


def test_the_newest_of_many_frames_wins(visit: Callable[..., Page]) -> None:
    page = visit(None)
    records = live_records(synthetic(drafts=2, canvas=32, steps=8, early=False))
    feed(page, records[:2])

    drawn = page.evaluate(
        """async (text) => {
          let renders = 0;
          const render = player.render.bind(player);
          player.render = () => { renders++; render(); };
          const frames = [], request = window.requestAnimationFrame;
          window.requestAnimationFrame = (draw) => frames.push(draw);
          await player.sink(text);
          window.requestAnimationFrame = request;
          frames.forEach((draw) => draw(performance.now()));
          return [renders, player.state.slot];
        }""",
        "\n".join(records[2:]),
    )

    assert drawn[1] == 8
    assert drawn[0] < 8


def test_focus_draws_a_run_while_it_is_live(visit: Callable[..., Page]) -> None:
    page = visit(None)
    records = live_records(synthetic(drafts=2, canvas=32, steps=8, early=False))
    feed(page, records[:4])
    card(page, 1).click()
    coloured = """() => {
      const { cells } = player.focus.heatmap;
      const { data } = cells.getContext("2d").getImageData(0, 0, cells.width, 1);
      return Array.from({ length: cells.width }, (_, x) => data[4 * x + 3] > 0).lastIndexOf(true);
    }"""
    assert page.evaluate(coloured) == 2

    feed(page, records[4:7])

    assert page.evaluate(coloured) == 5
    expect(page.locator(".f-charts")).to_contain_text("accepted")
    expect(page.get_by_role("button", name="Stop this one")).to_be_visible()


def test_the_progress_line_counts_from_the_prompt_to_the_end(visit: Callable[..., Page], host: Host) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8, early=False)
    host.files["/line.dgemma"] = codec.encode(trace)
    page = visit(None)
    line = page.locator(".progress")
    expect(line).to_have_text("No run yet. Write a prompt and press Generate.")
    start, *messages = live_records(trace)

    feed(page, [start])
    expect(line).to_have_text("Denoising 2 drafts the first step is on its way")
    feed(page, messages[:4])
    expect(line).to_contain_text("block 1 of 1")
    expect(line).to_contain_text("step 3 of 8 at most")
    expect(line).to_contain_text("positions undecided")
    feed(
        page, [*messages[4:], "s" + json.dumps({"state": "finished", "run": "run-1", "url": "/line.dgemma"})]
    )

    seconds = max(float(track.seconds[-1]) for track in trace.tracks)
    passes = sum(track.steps_used for track in trace.tracks)
    expect(line).to_contain_text("Finished")
    expect(line).to_contain_text(f"2 drafts{seconds:.1f} s")
    expect(line).to_contain_text("tok/s")
    expect(line).to_contain_text(f"{1000 * seconds / passes:.0f} ms per step and draft")
    slide(page, 2)
    expect(line).to_contain_text("Replay")


# --- files ---------------------------------------------------------------------------------------


def drop(page: Page, data: bytes, name: str) -> None:
    """As a hand does that lets a file go over the page."""
    page.evaluate(
        """([data, name]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name));
          const options = { dataTransfer, bubbles: true, cancelable: true };
          const target = document.querySelector(".dg");
          target.dispatchEvent(new DragEvent("dragover", options));
          globalThis.over = target.classList.contains("dropping");
          target.dispatchEvent(new DragEvent("drop", options));
        }""",
        [base64.b64encode(data).decode(), name],
    )


def test_a_run_can_be_downloaded_and_opened_again(visit: Callable[..., Page], tmp_path: Path) -> None:
    page = visit()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download").click()
    target = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(target)
    assert target.suffix == ".dgemma"
    assert codec.load(target).texts == TRACE.texts

    other = visit(None)
    other.get_by_role("button", name="Runs").click()
    with other.expect_file_chooser() as choosing:
        other.get_by_role("button", name="Open a file").click()
    choosing.value.set_files(target)

    expect(other.locator(".card")).to_have_count(4)
    expect(other.locator(".progress")).to_contain_text("Finished")
    assert readable(other, 0) == words_of(TRACE, 0)


def test_a_dropped_file_is_opened_and_remembered(visit: Callable[..., Page]) -> None:
    page = visit(None)

    drop(page, codec.encode(TRACE), "from-a-friend.dgemma")

    assert page.evaluate("over") is True
    expect(page.locator(".dropping")).to_have_count(0)
    expect(page.locator(".card")).to_have_count(4)
    page.reload()
    expect(page.locator(".card")).to_have_count(4)


def test_while_a_file_is_read_its_name_and_size_are_shown(visit: Callable[..., Page]) -> None:
    page = visit(None)

    said = page.evaluate(
        """() => {
          player.incoming.openFile(new File([new Uint8Array(2048)], "run.dgemma"));
          return document.querySelector(".progress").textContent;
        }"""
    )

    assert said == "Loading run.dgemma, 2 KiB"
    expect(page.locator(".progress")).to_contain_text("not a DGemma Play trace")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"hello", "not a DGemma Play trace"),
        (codec.encode(TRACE)[:-60], "not a DGemma Play trace"),
        (gzip.compress(b"[" * 100_000), "does not begin with a header"),
        (gzip.compress(b'{"format":"dgemma-trace","version":1,"canvas_length":4,"index_bytes":1,"ids":[],'
                       b'"words":[],"tracks":[]}\n'), "it holds no draft"),
    ],
    ids=["text", "cut", "nested", "empty"],
)  # fmt: skip
def test_a_broken_file_gets_a_sentence_and_changes_nothing(
    visit: Callable[..., Page], data: bytes, sentence: str
) -> None:
    page = visit()
    slide(page, 3)
    before = readable(page, 0)

    drop(page, data, "<img src=x onerror=document.title=1>.dgemma")

    expect(page.locator(".progress.alarm")).to_contain_text(sentence)
    expect(page.locator("[role=status]")).to_contain_text(sentence)
    expect(page.get_by_label("Step")).to_have_value("3")
    assert readable(page, 0) == before
    assert page.title() == "Player"


def test_no_file_is_opened_over_a_run_on_its_way(visit: Callable[..., Page]) -> None:
    page = visit(None)
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8))[:4])

    drop(page, codec.encode(TRACE), "run.dgemma")

    expect(page.locator(".progress")).to_contain_text("A run is on its way")
    expect(page.locator(".card")).to_have_count(2)


def test_a_run_that_begins_while_a_file_is_read_is_not_lost(visit: Callable[..., Page]) -> None:
    page = visit(None)
    records = live_records(synthetic(drafts=2, canvas=32, steps=8))

    page.evaluate(
        """async ([data, records]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const opening = player.incoming.openFile(new File([bytes], "run.dgemma"));
          await player.incoming.status(JSON.parse(records[0].slice(1)));
          await opening;
          await player.sink(records.slice(1).join("\\n"));
        }""",
        [base64.b64encode(codec.encode(TRACE)).decode(), records[:4]],
    )

    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator(".progress")).to_contain_text("Denoising")
    expect(page.get_by_label("Step")).to_have_value("2")


def test_the_recorded_run_gives_way_to_a_run_that_begins_while_it_is_read(visit: Callable[..., Page]) -> None:
    page = visit(None)
    records = live_records(synthetic(drafts=2, canvas=32, steps=8))

    page.evaluate(
        """async ([data, record]) => {
          await player.restored;
          const { buffer } = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const opening = player.examples(buffer);
          await Promise.resolve();
          await player.incoming.status(JSON.parse(record.slice(1)));
          await opening;
        }""",
        [base64.b64encode(codec.encode(TRACE)).decode(), records[0]],
    )
    feed(page, records[1:4])

    expect(page.locator(".card")).to_have_count(2)
    expect(page.get_by_label("Step")).to_have_value("2")


# --- memory --------------------------------------------------------------------------------------


def test_a_reload_in_mid_run_shows_what_was_received(visit: Callable[..., Page]) -> None:
    page = visit(None)
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8, early=False))[:5])
    shown = readable(page, 0)
    assert shown

    page.reload()

    expect(page.locator(".progress")).to_contain_text("reloaded in mid-run")
    expect(page.get_by_label("Step")).to_have_attribute("max", "3")


def test_no_speed_is_made_up_for_a_run_that_was_reloaded(visit: Callable[..., Page]) -> None:
    page = visit(None)
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8))[:5])

    page.reload()

    expect(page.locator(".progress")).to_have_text(
        "Stopped. Every finished step stays replayable2 drafts "
        "The page was reloaded in mid-run: this is what had arrived."
    )


def test_after_a_failed_run_a_reload_says_that_it_failed(visit: Callable[..., Page]) -> None:
    page = visit(None)
    failed = {"state": "failed", "run": "run-1", "sentence": "The card is out of memory."}
    feed(page, [*live_records(synthetic(drafts=2, canvas=32, steps=8))[:5], "s" + json.dumps(failed)])
    card(page, 0).click()
    page.locator(".f-text .t").nth(3).click(force=True)
    expect(page.get_by_role("complementary", name="Token")).to_contain_text("did not arrive")

    page.reload()

    expect(page.locator(".progress")).to_contain_text("The card is out of memory.")
    expect(page.locator(".progress")).to_contain_text("Failed. What had arrived stays")


def test_a_run_that_broke_off_says_so_in_its_file_too(visit: Callable[..., Page]) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    broken = dataclasses.replace(trace.tracks[1], ended="failed")
    page = visit(dataclasses.replace(trace, tracks=(trace.tracks[0], broken)))

    expect(page.locator(".progress")).to_contain_text("Failed. What had arrived stays")


def test_whole_drafts_of_a_run_without_its_file_are_its_own(visit: Callable[..., Page]) -> None:
    page = visit()
    failed = {"state": "failed", "run": "run-1", "sentence": "The disk is full."}

    feed(page, [*live_records(synthetic(drafts=2, canvas=32, steps=8)), "s" + json.dumps(failed)])

    expect(page.locator(".progress")).to_contain_text("Failed. What had arrived stays")


def test_a_run_that_the_browser_has_no_room_for_is_told_of_after_a_reload(
    visit: Callable[..., Page], host: Host
) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    host.files["/large.dgemma"] = codec.encode(trace)
    page = visit(None)
    page.evaluate(
        """() => {
          const put = IDBObjectStore.prototype.put;
          IDBObjectStore.prototype.put = function (entry) {
            if (this.name === "runs") throw new DOMException("no room", "QuotaExceededError");
            return put.call(this, entry);
          };
        }"""
    )
    feed(page, [*live_records(trace), ended("finished", "/large.dgemma")])
    note = page.locator(".progress").inner_text().splitlines()[-1]

    page.reload()

    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator(".progress")).to_contain_text(note)
    expect(page.locator(".progress")).not_to_contain_text("reloaded in mid-run")


def test_a_file_that_is_opened_after_a_reload_in_mid_run_is_there_after_the_next(
    visit: Callable[..., Page],
) -> None:
    page = visit(None)
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8))[:5])
    page.reload()
    expect(page.locator(".card")).to_have_count(2)
    open_trace(page, TRACE, "file")

    page.reload()

    expect(page.locator(".card")).to_have_count(4)


def test_the_run_in_progress_of_a_closed_tab_is_found_by_the_next(
    visit: Callable[..., Page], open_page: Callable[..., Page], host: Host
) -> None:
    page = visit(None)
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8, early=False))[:5])

    again = open_page(close_tab(page))
    again.goto(host.url)

    expect(again.locator(".progress")).to_contain_text("reloaded in mid-run")
    expect(again.get_by_label("Step")).to_have_attribute("max", "3")


def test_each_tab_has_a_run_in_progress_of_its_own(
    visit: Callable[..., Page], open_page: Callable[..., Page], host: Host
) -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8, early=False)
    page = visit(None)
    feed(page, live_records(trace, run="mine")[:5])
    other = open_page(page.context)
    other.goto(host.url)
    other.evaluate("() => player.restored")
    expect(other.locator(".progress")).to_contain_text("No run yet")
    host.files["/yours.dgemma"] = codec.encode(trace)
    feed(other, [*live_records(trace, run="yours"), ended("finished", "/yours.dgemma", run="yours")])

    page.reload()

    expect(page.locator(".progress")).to_contain_text("reloaded in mid-run")
    expect(page.get_by_label("Step")).to_have_attribute("max", "3")


def test_a_newer_run_is_shown_before_the_half_one_of_a_closed_tab(
    visit: Callable[..., Page], open_page: Callable[..., Page], host: Host
) -> None:
    page = visit(None)
    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8))[:5])
    other = open_page(close_tab(page))
    other.goto(host.url)
    other.evaluate("() => player.restored")
    open_trace(other, TRACE)

    other.reload()

    expect(other.locator(".card")).to_have_count(4)


def test_a_stored_run_that_cannot_be_read_does_not_empty_the_page(visit: Callable[..., Page]) -> None:
    page = visit(None)
    page.evaluate(
        "player.store.saveRun({ id: 'x', name: '', prompt: '', drafts: 1, buffer: new ArrayBuffer(9) })"
    )
    page.reload()

    open_trace(page, TRACE, "example")

    expect(page.locator(".card")).to_have_count(4)


def test_a_finished_run_and_a_kept_draft_survive_a_reload(visit: Callable[..., Page]) -> None:
    page = visit()
    page.get_by_role("button", name="Keep draft 2").click()
    expect(page.locator(".dg-kept")).to_contain_text("1")
    expect(page.get_by_role("button", name="Runs")).to_be_visible()

    page.reload()

    expect(page.locator(".card")).to_have_count(4)
    assert readable(page, 1) == words_of(TRACE, 1)
    page.locator(".dg-kept").click()
    expect(page.get_by_role("dialog")).to_contain_text(TRACE.tracks[1].text)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("Nothing kept yet")


def test_a_reload_keeps_how_somebody_likes_to_look(visit: Callable[..., Page]) -> None:
    page = visit()
    page.get_by_role("radio", name="entropy").click()
    page.get_by_role("radio", name="best guess").click()
    page.get_by_role("radio", name="2×").click()
    page.locator(".card").first.click()
    page.get_by_role("radio", name="grain").click()  # close up, where tokens are the rule
    page.reload()
    for name in ("entropy", "best guess", "2×"):
        expect(page.get_by_role("radio", name=name)).to_be_checked()
    page.locator(".card").first.click()
    expect(page.get_by_role("radio", name="grain")).to_be_checked()

    page.evaluate("localStorage['dgemma-habits'] = JSON.stringify({ colour: '<img>', far: 3, speed: 2 })")
    page.reload()
    for name in ("confidence", "grain", "2×"):
        expect(page.get_by_role("radio", name=name)).to_be_checked()


def test_a_run_in_this_browser_can_be_opened_again(visit: Callable[..., Page]) -> None:
    page = visit()
    expect(page.get_by_role("button", name="Runs")).to_be_visible()
    open_trace(page, synthetic(drafts=1, canvas=16, steps=4), "file")
    expect(page.locator(".card")).to_have_count(1)

    page.get_by_role("button", name="Runs").click()
    page.get_by_role("dialog").get_by_role("button", name="Open", exact=True).last.click()

    expect(page.locator(".card")).to_have_count(4)


def test_a_run_that_is_opened_again_keeps_its_date(visit: Callable[..., Page]) -> None:
    page = visit()
    open_trace(page, synthetic(drafts=1, canvas=16, steps=4), "file")
    dates = "player.store.runs().then((runs) => runs.map((run) => [run.id, run.at]))"
    before = page.evaluate(dates)

    page.get_by_role("button", name="Runs").click()
    page.get_by_role("dialog").get_by_role("button", name="Open", exact=True).last.click()

    expect(page.locator(".card")).to_have_count(4)
    assert page.evaluate(dates) == before


def test_no_run_of_the_shelf_is_opened_over_one_on_its_way(visit: Callable[..., Page]) -> None:
    page = visit()
    records = live_records(synthetic(drafts=2, canvas=32, steps=8, early=False))
    feed(page, records[:4])

    page.get_by_role("button", name="Runs").click()
    page.get_by_role("dialog").get_by_role("button", name="Open", exact=True).click()

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".progress.alarm")).to_contain_text("A run is on its way")
    feed(page, records[4:6])
    expect(page.locator(".card")).to_have_count(2)
    expect(page.get_by_label("Step")).to_have_value("4")


def test_kept_drafts_are_copied_without_a_clipboard(visit: Callable[..., Page]) -> None:
    page = visit()
    page.evaluate(
        """() => {
          Object.defineProperty(navigator, "clipboard", { value: undefined });
          document.addEventListener("copy", ({ target }) => (globalThis.copied = target.value));
        }"""
    )
    page.get_by_role("button", name="Keep draft 3").click()
    page.locator(".dg-kept").click()

    page.get_by_role("dialog").get_by_role("button", name="Copy", exact=True).click()

    expect(page.get_by_role("dialog").get_by_role("button", name="Copied", exact=True)).to_be_focused()
    assert page.evaluate("copied") == TRACE.tracks[2].text


def test_a_kept_draft_is_written_again_where_the_shelf_is_full(visit: Callable[..., Page]) -> None:
    page = visit()

    notes = page.evaluate(
        """async () => {
          const keep = (key, text) => player.store.keep({ draft: 0, text, prompt: "", key, at: 0 });
          for (let k = 0; k < 200; k++) await keep(`x/${k}`, "");
          const note = await keep("x/7", "written");
          return [note, (await player.store.kept()).filter(({ text }) => text).length];
        }"""
    )

    assert notes == ["", 1]


def test_a_full_shelf_says_so(visit: Callable[..., Page]) -> None:
    page = visit()
    page.evaluate(
        """async () => {
          const entry = { draft: 0, text: "", prompt: "" };
          for (let k = 0; k < 200; k++) await player.store.keep({ ...entry, key: `x/${k}`, at: k });
        }"""
    )

    page.get_by_role("button", name="Keep draft 1").click()

    expect(page.locator("[role=status]")).to_contain_text("200 drafts are kept")
    expect(page.get_by_role("button", name="Keep draft 1")).to_have_attribute("aria-pressed", "false")


# --- states --------------------------------------------------------------------------------------


def test_the_recorded_run_explains_itself_from_its_trace(visit: Callable[..., Page]) -> None:
    page = visit(synthetic(drafts=4, canvas=64, steps=24), source="example", reduced_motion="reduce")
    hello = page.get_by_role("region", name="What you see")
    expect(hello).to_be_visible()
    last = int(page.get_by_label("Step").get_attribute("max") or 0)

    sentences = []
    for step in range(last + 1):
        slide(page, step)
        sentences.append(hello.locator(".now").inner_text())

    told = list(dict.fromkeys(sentences))
    assert told[0].startswith("Pure noise")
    assert len(told) >= 4
    assert any("becomes" in sentence for sentence in told)
    assert any("given back to noise" in sentence for sentence in told)
    assert "drafts stopped by themselves" in told[-1]


def test_where_motion_is_unwelcome_the_recorded_run_rests(visit: Callable[..., Page]) -> None:
    page = visit(source="example", reduced_motion="reduce")
    step = page.get_by_label("Step").input_value()
    assert step != "0"

    page.wait_for_timeout(700)

    assert page.get_by_label("Step").input_value() == step
    moving = "document.getAnimations().filter((a) => a.playState === 'running').length"
    assert page.evaluate(moving) == 0


def test_the_recorded_run_plays_by_itself_and_gives_way_to_a_real_one(visit: Callable[..., Page]) -> None:
    page = visit(source="example")
    expect(page.get_by_label("Step")).not_to_have_value("0")

    feed(page, live_records(synthetic(drafts=2, canvas=32, steps=8))[:3])

    expect(page.get_by_role("region", name="What you see")).to_be_hidden()
    expect(page.locator(".card")).to_have_count(2)


def test_the_recorded_run_says_less_when_asked_to(visit: Callable[..., Page]) -> None:
    page = visit(source="example", reduced_motion="reduce")

    page.get_by_role("button", name="Close").click()

    expect(page.get_by_role("region", name="What you see")).to_be_hidden()
    expect(page.locator(".card")).to_have_count(4)
    expect(page.get_by_role("button", name="Download")).to_be_hidden()


# --- safety and quality --------------------------------------------------------------------------


def test_hostile_words_are_text_and_nothing_else(visit: Callable[..., Page]) -> None:
    trace = synthetic(drafts=2, canvas=48, steps=8, hostile=True)
    page = visit(trace)
    markup = page.evaluate("[...document.querySelectorAll('.dg img, .dg script, .dg a, .dg iframe')].length")
    for show in ("tokens", "best guess", "grain"):
        page.get_by_role("radio", name=show).click()
        for step in range(0, 9, 2):
            slide(page, step)
    card(page, 0).click()
    for position in range(0, 48, 3):
        page.locator(".f-text .t").nth(position).click(force=True)
    page.get_by_role("button", name="Keep", exact=True).click()
    page.locator(".dg-kept").click()

    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE[0])
    assert page.title() == "Player"
    assert page.evaluate("[...document.querySelectorAll('.dg img, .dg script, .dg a')].length") == markup == 0


def test_hostile_words_are_harmless_while_live(visit: Callable[..., Page]) -> None:
    page = visit(None)

    feed(page, live_records(synthetic(drafts=2, canvas=48, steps=8, hostile=True)))

    assert page.title() == "Player"
    assert page.locator(".dg img, .dg script").count() == 0


def test_no_script_of_the_player_writes_markup() -> None:
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "srcdoc",
    ):
        assert way not in assets.script()


def test_an_exported_page_needs_nothing_but_itself(open_page: Callable[..., Page], tmp_path: Any) -> None:
    trace = synthetic(drafts=2, canvas=48, steps=8, hostile=True)
    target = tmp_path / "run.html"
    target.write_text(assets.standalone(codec.encode(trace), "A </title><script>run"), encoding="utf-8")
    page = open_page()

    page.goto(target.as_uri())

    expect(page.locator(".card")).to_have_count(2)
    assert page.title() == "A </title><script>run"
    assert page.evaluate(
        "document.querySelector('.transport').getBoundingClientRect().bottom === innerHeight"
    )
    slide(page, 0)
    assert readable(page, 0) == ""
    assert page.get_by_role("button", name="Heatmap").count() == 0
    page.get_by_role("radio", name="entropy").click()
    page.reload()
    expect(page.get_by_role("radio", name="confidence")).to_be_checked()  # it keeps nothing


def test_an_exported_page_that_was_damaged_says_so(open_page: Callable[..., Page], tmp_path: Any) -> None:
    target = tmp_path / "run.html"
    whole = assets.standalone(codec.encode(TRACE), "A run")
    cut = assets.standalone(codec.encode(TRACE)[:-40], "A run")
    page = open_page()
    for damaged in (cut, whole.replace('data-trace="', 'data-trace="*')):
        target.write_text(damaged, encoding="utf-8")

        page.goto(target.as_uri())

        expect(page.locator(".progress.alarm")).to_contain_text("damaged on the way")
        expect(page.locator(".progress")).not_to_contain_text("press Generate")


@pytest.mark.parametrize("width", [1440, 1024, 390])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_sticks_out_and_axe_finds_nothing(visit: Callable[..., Page], width: int, dark: bool) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = visit(dark=dark, viewport={"width": width, "height": 844 if width == 390 else 900})
    slide(page, 5)
    found = _faults(page, Axe())
    card(page, 0).click()
    page.locator(".f-text .t").nth(4).click(force=True)
    found += _faults(page, Axe())
    page.keyboard.press("?")
    found += _faults(page, Axe())

    assert found == []


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)], ids=["light", "phone-dark"])
def test_axe_finds_nothing_in_any_state(visit: Callable[..., Page], width: int, dark: bool) -> None:
    from axe_playwright_python.sync_playwright import Axe

    shape: dict[str, Any] = {"dark": dark, "viewport": {"width": width, "height": 844}}
    page = visit(synthetic(drafts=2, canvas=48, steps=12), source="example", reduced_motion="reduce", **shape)
    found = _faults(page, Axe())
    records = live_records(synthetic(drafts=2, canvas=32, steps=8))
    feed(page, [records[0]])
    found += _faults(page, Axe())
    feed(page, records[1:5])
    found += _faults(page, Axe())
    feed(page, ["s" + json.dumps({"state": "failed", "run": "run-1", "sentence": "It did not work."})])
    page.get_by_role("button", name="Keep draft 1").click()
    found += _faults(page, Axe())
    page.locator(".dg-kept").click()
    found += _faults(page, Axe())

    assert found == []


def _faults(page: Page, axe: Any) -> list[str]:
    page.wait_for_timeout(300)  # transitions of colour end
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    violations = axe.run(page, context=".dg").response["violations"]
    named = [f"{fault['id']}: {fault['nodes'][0]['html'][:120]}" for fault in violations]
    return named + ([f"{wide} px too wide"] if wide > 0 else [])
