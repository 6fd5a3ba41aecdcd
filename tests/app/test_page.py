"""The page as a visitor uses it, in a real browser: once all the way with the model, else recorded frames."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from dgemma_play.page import figures, theme
from dgemma_play.runs import Job, Runner
from dgemma_play.trace import Trace
from tests.app.conftest import Site, close_tab, drawn
from tests.app.test_runs import wait_until
from tests.replayed import Replayed
from tests.synthetic import HOSTILE, synthetic

SMALL = synthetic(drafts=2, canvas=16, steps=12)
LONG = synthetic(drafts=2, canvas=16, steps=128, early=False)
Visit = Callable[..., Page]
# The page looks for the knobs' boxes twenty times before it finds one.
KNOBS_LATE = """
  const find = Document.prototype.querySelector;
  let misses = 20;
  Document.prototype.querySelector = function (selector) {
    return selector.startsWith("#knob-") && misses-- > 0 ? null : find.call(this, selector);
  };
"""

# Patience costs nothing where all is well, and a busy machine is no reason to fail.
expect.set_options(timeout=30_000)


def generate(page: Page, prompt: str = "Write a story.") -> None:
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="Generate").click()


def run_to(page: Page, site: Site, passes: int) -> None:
    """A scripted run as far as that pass."""
    generate(page)
    site.release(passes)
    expect(progress(page)).to_contain_text(f"step {passes} of")


def write(page: Page, prompt: str) -> list[str]:
    """The finished texts of a run of the embedded model."""
    with page.expect_response(re.compile("gradio_api/file=")):
        generate(page, prompt)
    # Until the file has taken the place of what came live, the run is on its way.
    expect(progress(page)).to_contain_text("Finished")
    return texts(page)


def creep(site: Site) -> None:
    """Let the first run go on, slowly, until the server has noticed that nobody listens to it."""
    run = site.runs[0]
    while not run._stopped:
        site.release(1)
        run.closed.wait(0.2)
    assert run.passes < run.facts.settings.steps, "it ended by itself"


def small(page: Page, drafts: int) -> None:
    """Few drafts of few steps: for tests that only need a run of the model to end."""
    page.locator("#knob-drafts input[type=number]").fill(str(drafts))
    page.locator("#knob-steps input[type=number]").fill("8")


def progress(page: Page) -> Any:
    return page.locator("#player-root .progress")


def texts(page: Page) -> list[str]:
    """The text of every card, as a reader could select it: not what noise hides."""
    drawn(page)
    return page.evaluate(
        "[...document.querySelectorAll('.card .canvas')].map((c) => [...c.querySelectorAll('.t:not(.z)')]"
        ".map((t) => t.firstChild?.nodeType === 3 ? t.firstChild.data : '').join(' '))"
    )


def test_a_visitor_writes_looks_closer_and_finds_everything_again(site: Site, visit: Visit) -> None:
    page = visit(site.url, reduced_motion="no-preference")
    expect(progress(page)).to_contain_text("A recorded run")
    page.locator("#knob-drafts input[type=number]").fill("3")
    finished = write(page, "Write a story about a bear.")
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    expect(page.locator(".card")).to_have_count(3)

    slider = page.get_by_label("Step", exact=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    slider.fill("1")
    early = texts(page)
    assert early != finished
    page.get_by_role("button", name="Play", exact=True).click()
    expect(slider).not_to_have_value("1")
    page.get_by_role("button", name="Pause", exact=True).click()
    slider.fill(slider.get_attribute("max") or "")
    assert texts(page) == finished
    for name in ("entropy", "settled step", "revisions", "rank", "none", "confidence"):
        page.get_by_role("radio", name=name).click()
    assert asked == []  # replay needs no server

    page.locator(".card .t").nth(3).click()
    expect(page.locator(".focus")).to_be_visible()
    page.locator(".focus .f-text .t").nth(3).click()
    expect(page.locator(".insp")).not_to_contain_text("Point at a word")
    before = slider.input_value()
    page.locator(".f-charts canvas").first.click(position={"x": 60, "y": 30})
    expect(slider).not_to_have_value(before)
    page.get_by_role("button", name="Wall", exact=True).click()

    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".card").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390

    page.reload()
    expect(progress(page)).to_contain_text("Finished")
    assert page.evaluate("document.body.classList.contains('dark')")
    assert texts(page) == finished
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("Write a story about a bear.")


def test_the_first_frame_is_on_the_page_before_the_third_pass_is_computed(
    scripted: Callable[..., Site], visit: Visit
) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    generate(page)
    expect(progress(page)).to_contain_text("Denoising")
    site.release(1)
    expect(progress(page)).to_contain_text("step 1 of")
    assert site.runs[0].passes == 2  # the second one is waiting for the gate, the third has not begun
    site.release()
    expect(progress(page)).to_contain_text("Finished")


def test_after_stop_no_pass_begins_and_what_was_written_can_be_replayed(
    scripted: Callable[..., Site], visit: Visit
) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    run_to(page, site, 4)
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_until(lambda: bool(site.runs[0]._stopped))
    begun = site.runs[0].passes
    site.release()
    expect(progress(page)).to_contain_text("Stopped")
    assert site.runs[0].passes == begun == 5
    expect(page.get_by_label("Step", exact=True)).to_have_attribute("max", "5")
    expect(page.get_by_role("button", name="Generate")).to_be_visible()


def test_a_double_click_on_generate_is_one_click(scripted: Callable[..., Site], visit: Visit) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    page.get_by_label("Prompt", exact=True).fill("Write a poem.")
    page.get_by_role("button", name="Generate").dblclick()
    site.release()
    expect(progress(page)).to_contain_text("Finished")
    assert len(site.runs) == 1


def test_a_number_out_of_range_is_drawn_in_by_control_enter_too(
    scripted: Callable[..., Site], visit: Visit
) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    page.get_by_label("Prompt", exact=True).fill("Write a poem.")
    steps = page.locator("#knob-steps input[type=number]")
    steps.fill("4000")
    steps.press("Control+Enter")
    site.release()
    expect(progress(page)).to_contain_text("Finished")
    expect(steps).to_have_value("128")


def test_escape_stops_and_control_enter_generates_even_while_writing(
    scripted: Callable[..., Site], visit: Visit
) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    box = page.get_by_label("Prompt", exact=True)
    box.fill("Write a poem.")
    box.press("Control+Enter")
    expect(progress(page)).to_contain_text("Denoising")
    box.press("Escape")
    wait_until(lambda: bool(site.runs[0]._stopped))
    site.release()
    expect(progress(page)).to_contain_text("Stopped")
    assert site.runs[0].facts.prompt[0]["content"] == "Write a poem."


def test_escape_closes_what_lies_over_the_page_before_it_stops_a_run(
    scripted: Callable[..., Site], visit: Visit
) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    run_to(page, site, 2)
    for button, sheet in (("API", "#api-sheet"), ("?", "dialog[open]")):
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.locator(sheet)).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(sheet)).to_be_hidden()
    site.release()
    expect(progress(page)).to_contain_text("Finished")


def test_a_stop_before_the_server_has_taken_the_run_is_not_lost(
    serve: Callable[[Runner], str], visit: Visit
) -> None:
    taken, gate = threading.Event(), threading.Semaphore(0)

    def start(job: Job) -> Replayed:
        taken.wait(60)
        return Replayed(SMALL, gate, job)

    model = {"name": "recorded", "precision": "fp32", "device": "cpu", "rows": 8, "canvas_length": 16}
    page = visit(serve(Runner(start, model=model, defaults={})))
    generate(page)
    with page.expect_response(re.compile("run/predict")):
        page.keyboard.press("Escape")
    with page.expect_response(re.compile("run/predict")):
        taken.set()
    gate.release(1000)
    expect(progress(page)).to_contain_text("Stopped")


def test_every_draft_that_is_stopped_stops_however_quickly_they_follow(
    scripted: Callable[..., Site], visit: Visit
) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    run_to(page, site, 2)
    held: list[Route] = []
    page.route("**/run/predict*", lambda route: held.append(route))
    for draft in range(2):
        with page.expect_request(re.compile("run/predict")):
            page.locator(".card").nth(draft).hover()
            page.get_by_role("button", name=f"Stop draft {draft + 1}").click()
    for route in held:
        route.continue_()
    wait_until(lambda: site.runs[0]._stopped == {0, 1})
    site.release()


def test_two_visitors_never_see_each_others_drafts(scripted: Callable[..., Site], visit: Visit) -> None:
    site = scripted(SMALL)
    ada, bob = visit(site.url), visit(site.url)
    generate(ada, "ada's own prompt")
    wait_until(lambda: len(site.runs) == 1)
    generate(bob, "bob's own prompt")
    expect(progress(bob)).to_contain_text("Waiting 1 run")
    heard = bob.evaluate_handle(
        "() => { const all = []; document.addEventListener('dgemma-sink', (e) => all.push(e.detail));"
        " return all; }"
    )
    site.release(3)
    expect(progress(ada)).to_contain_text("step 3 of")
    assert all(record.startswith('s{"state":"queued"') for record in heard.json_value())
    bob.get_by_role("button", name="Stop", exact=True).click()
    expect(bob.locator("#notice")).to_contain_text("left the line")
    site.release()
    expect(progress(ada)).to_contain_text("Finished")
    assert "ada's own prompt" not in bob.content()
    assert site.runs[1].passes == 0


def test_a_visitor_who_closes_the_tab_frees_the_turn(scripted: Callable[..., Site], visit: Visit) -> None:
    site = scripted(LONG)
    ada, bob = visit(site.url), visit(site.url)
    generate(ada)
    site.release(2)
    expect(progress(ada)).to_contain_text("step 2 of")
    generate(bob)
    expect(progress(bob)).to_contain_text("Waiting 1 run")
    ada.close()
    creep(site)
    site.release()
    expect(progress(bob)).to_contain_text("Finished")


def test_a_refused_run_says_why_and_leaves_the_earlier_drafts(
    scripted: Callable[..., Site], visit: Visit
) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    site.release()
    kept = write(page, "Write a haiku about winter.")
    generate(page, "   ")
    expect(page.get_by_role("alert")).to_have_text(
        "The prompt is empty: write what the drafts should be about."
    )
    expect(page.get_by_role("button", name="Generate")).to_be_visible()
    assert texts(page) == kept
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("alert")).to_have_text(
        "The prompt is empty: write what the drafts should be about."
    )
    # Said once: the line over the wall goes on about what is there.
    assert page.locator("body").inner_text().count("The prompt is empty") == 1
    expect(progress(page)).to_contain_text("Failed. The drafts before it stay")


def test_a_reload_in_mid_run_shows_what_had_arrived(scripted: Callable[..., Site], visit: Visit) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    run_to(page, site, 4)
    slider, fourth = page.get_by_label("Step", exact=True), re.compile("step 4")
    expect(slider).to_have_attribute("aria-valuetext", fourth)
    # Not `reload`: Gradio's client writes to the console that its stream was cut.
    again = visit(site.url, context=close_tab(page))
    expect(progress(again)).to_contain_text("The page was reloaded in mid-run")
    expect(again.get_by_label("Step", exact=True)).to_have_attribute("max", "4")
    expect(again.get_by_label("Step", exact=True)).to_have_attribute("aria-valuetext", fourth)
    expect(again.get_by_role("button", name="Generate")).to_be_visible()
    site.release()


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (390, 844)])
def test_the_slider_is_always_in_reach(
    scripted: Callable[..., Site], visit: Visit, width: int, height: int
) -> None:
    page = visit(scripted(SMALL).url, viewport={"width": width, "height": height})
    bottom = "document.querySelector('.transport').getBoundingClientRect().bottom - innerHeight"
    assert abs(page.evaluate(bottom)) <= 1
    page.locator(".card").nth(3).scroll_into_view_if_needed()
    assert abs(page.evaluate(bottom)) <= 1
    page.locator(".card").first.click()
    assert abs(page.evaluate(bottom)) <= 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_the_whole_page(scripted: Callable[..., Site], visit: Visit, theme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    site = scripted(SMALL)
    page = visit(f"{site.url}?__theme={theme}")
    found = Axe().run(page).response["violations"]
    run_to(page, site, 3)
    found += Axe().run(page).response["violations"]
    site.release()
    expect(progress(page)).to_contain_text("Finished")
    page.get_by_text("Advanced").click()
    found += Axe().run(page).response["violations"]
    assert [f"{fault['id']}: {fault['nodes'][0]['html'][:120]}" for fault in found] == []


def test_hostile_words_and_prompts_stay_text(scripted: Callable[..., Site], visit: Visit) -> None:
    site = scripted(synthetic(drafts=2, canvas=32, steps=8, hostile=True))
    page = visit(site.url)
    prompt = "".join(HOSTILE[:6]).replace("\0", "")
    generate(page, prompt)
    site.release()
    expect(progress(page)).to_contain_text("Finished")
    page.get_by_role("radio", name="tokens").click()
    page.locator(".card .t").first.click()
    for step in range(3):
        page.get_by_label("Step", exact=True).fill(str(step))
    page.reload()
    expect(progress(page)).to_contain_text("Finished")
    assert page.title() == "DGemma Play"
    assert page.locator("#player-root img, #player-root script, #badge img, #earlier img").count() == 0
    assert site.runs[0].facts.prompt[0]["content"] == prompt
    expect(page.locator("#earlier option").nth(1)).to_have_attribute("value", prompt)


def test_examples_and_earlier_prompts_fill_the_prompt(scripted: Callable[..., Site], visit: Visit) -> None:
    site = scripted(SMALL)
    page = visit(site.url)
    box = page.get_by_label("Prompt", exact=True)
    expect(page.get_by_label("Earlier prompts")).to_be_hidden()
    page.get_by_role("button", name="A haiku").click()
    expect(box).to_have_value("Write a haiku about a frog.")
    page.get_by_role("button", name="Generate").click()
    site.release()
    expect(progress(page)).to_contain_text("Finished")
    assert site.runs[0].facts.prompt[0]["content"] == "Write a haiku about a frog."
    box.fill("Something else.")
    page.get_by_label("Earlier prompts").select_option(label="Write a haiku about a frog.")
    expect(box).to_have_value("Write a haiku about a frog.")

    page.reload()
    expect(box).to_have_value("Write a haiku about a frog.")
    page.get_by_role("button", name="Generate").click()
    site.release()
    expect(progress(page)).to_contain_text("Finished")
    wait_until(lambda: len(site.runs) == 2)
    assert site.runs[1].facts.prompt[0]["content"] == "Write a haiku about a frog."


def test_a_locked_seed_gives_the_same_text_again_and_an_unlocked_one_does_not(
    site: Site, visit: Visit
) -> None:
    page = visit(site.url)
    small(page, drafts=1)
    fox = "Write a short story about a fox."
    seed = page.get_by_label("Seed", exact=True)
    first, drawn = write(page, fox), seed.input_value()
    second = write(page, fox)
    assert seed.input_value() != drawn
    page.get_by_label("Lock", exact=True).check(force=True)
    third = write(page, fox)
    assert third == second
    assert first != second
    page.get_by_role("button", name="Dice").click()
    expect(seed).not_to_have_value(drawn)


def test_a_seed_that_is_typed_is_the_runs(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    small(page, drafts=1)
    seed = page.get_by_label("Seed", exact=True)
    seed.press_sequentially("42")
    expect(page.get_by_label("Lock", exact=True)).to_be_checked()
    write(page, "Write a haiku about winter.")
    expect(seed).to_have_value("42")
    expect(page.locator(".card").first).to_contain_text("seed 42")
    for key in ("End", "Backspace", "Backspace"):
        seed.press(key)
    expect(page.get_by_label("Lock", exact=True)).not_to_be_checked()


def test_a_heatmap_and_the_timeline_open_as_figures(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    small(page, drafts=2)
    write(page, "Write a haiku about winter.")
    page.locator(".card").first.click()
    page.get_by_role("button", name="Heatmap").click()
    plot = page.locator("#figure .js-plotly-plot")
    expect(plot).to_contain_text("Confidence, draft 1")
    expect(plot).to_be_visible()
    expect(page.get_by_role("dialog", name="Figure")).to_be_visible()
    assert page.evaluate("document.querySelector('#page').inert"), "what lies under it is out of reach"
    step = page.get_by_label("Step", exact=True).input_value()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(page.locator("#figure")).to_be_hidden()
    expect(page.get_by_role("button", name="Heatmap")).to_be_focused()
    assert page.get_by_label("Step", exact=True).input_value() == step, "no key goes through a figure"
    asked: list[Route] = []
    page.route("**/queue/join*", lambda route: asked.append(route))
    with page.expect_request("**/queue/join*"):
        page.get_by_role("button", name="Timeline").click()
    expect(plot).to_be_hidden()  # it is the heatmap still
    asked[0].continue_()
    expect(plot).to_be_visible()
    expect(plot).to_contain_text("mean entropy, nats")
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.locator("#figure")).to_be_hidden()


def test_of_two_figures_asked_for_only_the_last_is_shown(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    small(page, drafts=2)
    write(page, "Write a haiku about winter.")
    page.locator(".card").first.click()
    plot = page.locator("#figure .js-plotly-plot")
    page.evaluate(
        """() => {
          globalThis.shown = [];
          const look = () => {
            const { classList } = document.body;
            if (classList.contains("page-figure") && !classList.contains("page-drawing"))
              shown.push(document.querySelector("#figure .js-plotly-plot").textContent);
          };
          new MutationObserver(look).observe(document.body, { attributes: true });
        }"""
    )
    asked: list[Route] = []
    page.route("**/queue/join*", lambda route: asked.append(route))
    with page.expect_request("**/queue/join*"):
        page.get_by_role("button", name="Heatmap").click()
    page.get_by_role("button", name="Close", exact=True).click()
    with page.expect_request("**/queue/join*"):
        page.get_by_role("button", name="Timeline").click()
    asked[0].continue_()
    expect(plot).to_contain_text("Confidence, draft 1")
    asked[1].continue_()
    expect(plot).to_contain_text("mean entropy, nats")
    expect(plot).to_be_visible()
    assert all("mean entropy" in text for text in page.evaluate("shown"))


def test_a_system_prompt_is_asked_for_where_the_model_can_hear_it(
    scripted: Callable[..., Site], site: Site, visit: Visit
) -> None:
    expect(visit(site.url).get_by_label("System prompt")).to_have_count(0)
    other = scripted(SMALL)
    page = visit(other.url)
    page.get_by_text("Advanced").click()
    page.get_by_label("System prompt").fill("Write like a sailor.")
    generate(page, "A letter home.")
    other.release()
    expect(progress(page)).to_contain_text("Finished")
    assert [message["content"] for message in other.runs[0].facts.prompt] == [
        "Write like a sailor.",
        "A letter home.",
    ]


def test_on_a_phone_the_settings_are_one_line_that_unfolds(
    scripted: Callable[..., Site], visit: Visit
) -> None:
    page = visit(scripted(SMALL).url, viewport={"width": 390, "height": 844}, has_touch=True)
    line = page.get_by_role("button", name="Settings")
    expect(line).to_contain_text("8 drafts · 48 steps · 0.8 → 0.4 · seed new")
    expect(page.locator("#settings")).to_be_hidden()
    line.click()
    page.locator("#knob-drafts input[type=number]").fill("3")
    expect(line).to_contain_text("3 drafts")


def test_on_a_phone_the_settings_line_waits_for_knobs_that_are_mounted_late(
    scripted: Callable[..., Site], open_page: Visit
) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, reduced_motion="reduce")
    page.add_init_script(KNOBS_LATE)
    page.goto(scripted(SMALL).url)
    expect(page.get_by_role("button", name="Settings")).to_contain_text("8 drafts · 48 steps · 0.8 → 0.4")


def test_on_a_phone_generate_leads_to_the_drafts(scripted: Callable[..., Site], visit: Visit) -> None:
    site = scripted(SMALL)
    page = visit(site.url, viewport={"width": 390, "height": 844}, has_touch=True)
    run_to(page, site, 2)
    expect(page.locator(".card").first).to_be_in_viewport(ratio=0.9)
    stop = page.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_in_viewport(ratio=1)
    stop.click()
    wait_until(lambda: bool(site.runs[0]._stopped))
    site.release()
    expect(progress(page)).to_contain_text("Stopped")
    generate(page, " ")
    expect(page.get_by_role("alert")).to_be_in_viewport(ratio=1)


def test_the_badge_says_which_model_runs_how_and_why(site: Site, visit: Visit) -> None:
    page = visit(site.url)
    badge = page.locator("#badge")
    expect(badge).to_contain_text("embedded")
    expect(badge).to_contain_text("fp32 · cpu")
    badge.locator("summary").click()
    for reason in site.runner.model["reasons"]:
        expect(badge).to_contain_text(reason)


def test_theme_and_player_have_the_same_colours() -> None:
    style = Path("assets/style.css").read_text("utf-8")
    light, dark = style.split("body.dark .dg", 1)
    for palette, part in ((theme.LIGHT, light), (theme.DARK, dark)):
        for token, colour in palette.items():
            found = re.search(rf"--{token}: (#[0-9a-f]+)", part)
            assert found, token
            assert found[1] == colour, token
    for ramp, part in zip(figures.RAMPS, (light, dark), strict=True):
        assert re.findall(r"--i\d+: #([0-9a-f]+)", part) == ramp.split()


def test_the_recorded_run_is_the_embedded_models_own(loaded: Any) -> None:
    from dgemma_play.page import layout
    from dgemma_play.tokens import TokenizerVocabulary

    trace = Trace.load(layout.EXAMPLE)
    assert trace.model.name == "embedded"
    assert len(trace.tracks) == 8
    ids = list(trace.words)
    assert list(trace.words.values()) == TokenizerVocabulary(loaded.tokenizer).words(ids)
