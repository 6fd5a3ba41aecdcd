"""The player's pure parts, called in the browser: what they read in a trace and what they make of it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from dgemma_play import codec
from tests.app.player_host import serve
from tests.golden.make import EXPECTED, TRACE
from tests.synthetic import live_records, synthetic

READ = (Path(__file__).parent / "read_trace.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    with serve() as host:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(host.url)
        yield page
        context.close()


def read(page: Page, data: bytes) -> Any:
    return page.evaluate(READ, base64.b64encode(data).decode())


def refusal(page: Page, data: bytes) -> str:
    return page.evaluate(
        """async (text) => {
          const { buffer } = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          return DGemmaPlayer.parts.decodeTrace(buffer).then(() => "read", (error) => error.message);
        }""",
        base64.b64encode(data).decode(),
    )


def test_browser_and_python_read_the_same_golden_trace(page: Page) -> None:
    wanted = json.loads(EXPECTED.read_text(encoding="ascii"))
    for track in wanted["tracks"]:  # what a file does not keep is not there to be read
        for k, row in enumerate(track["confidence"]):
            for p, sure in enumerate(row or []):
                if sure >= codec.SURE:
                    track["top_ids"][k][p] = track["top_probs"][k][p] = None

    assert read(page, TRACE.read_bytes()) == wanted


def test_a_live_run_adds_up_to_the_trace_it_leaves(page: Page) -> None:
    trace = synthetic(drafts=2, canvas=24, steps=7, blocks=2, seed=3)
    frames = page.evaluate(
        """async (records) => {
          const ids = [], out = [];
          for (const text of records) {
            const message = await DGemmaPlayer.parts.decodeMessage(text);
            ids.push(...message.ids);
            for (const f of message.read(ids.length)) {
              const canvas = Array.from(f.canvas, (k) => ids[k]);
              const best = f.best && Array.from(f.best, (k) => ids[k]);
              const values = [f.confidence && [...f.confidence], f.accepted && [...f.accepted]];
              out.push([f.draft, f.block, f.step, f.ended, canvas, best, ...values]);
            }
          }
          return out;
        }""",
        [record[1:] for record in live_records(trace)[1:]],
    )

    for draft, track in enumerate(trace.tracks):
        mine = [frame[1:] for frame in frames if frame[0] == draft]
        assert [frame[0] for frame in mine] == track.block.tolist()
        assert [frame[3] for frame in mine] == track.canvas_ids.tolist()
        for k, frame in enumerate(mine):
            if track.step[k]:
                assert frame[4] == track.best_ids[k].tolist()
                assert frame[5] == track.confidence[k].astype(float).tolist()
                assert frame[6] == track.accepted[k].astype(int).tolist()
            else:
                assert frame[4:] == [None, None, None]


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda line, planes: b"{}\n", "This is not a DGemma Play trace."),
        (lambda line, planes: b"\x00\x01", "it does not begin with a header"),
        (lambda line, planes: line.replace(b'"version":1', b'"version":9') + planes, "version 9"),
        (lambda line, planes: line + planes[:-1], "shorter than its header says"),
        (lambda line, planes: line + planes + b"\0", "longer than its header says"),
        (lambda line, planes: line + b"\xff" * len(planes), "a token has no word"),
        (
            lambda line, planes: line.replace(b'"canvas_length":16', b'"canvas_length":99999') + planes,
            "canvas_length",
        ),
        (
            lambda line, planes: line.replace(b'"step":[0,1', b'"step":[1,0') + planes,
            "does not begin with its noise",
        ),
    ],
)
def test_a_damaged_trace_is_refused_with_a_sentence(
    page: Page, harm: Callable[..., bytes], sentence: str
) -> None:
    line, _, planes = gzip.decompress(TRACE.read_bytes()).partition(b"\n")

    assert sentence in refusal(page, gzip.compress(harm(line + b"\n", planes)))


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lambda head: head["tracks"].__setitem__(0, None), "step is not a list"),
        (lambda head: head["tracks"][0].update(seed="<b>"), "seed is out of range"),
        (lambda head: head["tracks"][0].update(settings=[]), "settings is not an object"),
        (lambda head: head["tracks"][0].update(ended="constructor"), "ended is none of eos"),
        (
            lambda head: head["tracks"][0]["canvas_ended"].__setitem__(-1, "toString"),
            "canvas_ended is none of stable",
        ),
    ],
    ids=["no track", "seed", "settings", "ended", "canvas_ended"],
)
def test_a_track_that_says_what_none_can_is_refused(
    page: Page, harm: Callable[..., None], sentence: str
) -> None:
    line, _, planes = gzip.decompress(TRACE.read_bytes()).partition(b"\n")
    head = json.loads(line)
    harm(head)

    assert sentence in refusal(page, gzip.compress(json.dumps(head).encode() + b"\n" + planes))


def test_bytes_that_are_no_gzip_are_refused_with_a_sentence(page: Page) -> None:
    assert "not a DGemma Play trace" in refusal(page, b"hello")
    assert "not a DGemma Play trace" in refusal(page, TRACE.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", "⋅the"),
        ("\n\n", "↵↵"),
        ("\tx", "⇥x"),
        ("<0xe2>", "0xE2"),
        ("\u202eab", "U+202Eab"),
        ("a\u0000", "aU+0000"),
        ("naïve 語", "naïve⋅語"),
    ],
)
def test_the_inspector_shows_every_character(page: Page, text: str, shown: str) -> None:
    assert page.evaluate("(text) => DGemmaPlayer.parts.visible(text)", text) == shown


def test_half_a_character_is_shown_by_its_number(page: Page) -> None:
    assert page.evaluate("DGemmaPlayer.parts.visible('\\ud83d')") == "U+D83D"


def test_kept_words_are_never_paler_than_readable(page: Page) -> None:
    levels = page.evaluate("[0, 0.2, 0.5, 0.8, 1].map((sure) => DGemmaPlayer.parts.inkOf(sure, 8))")

    assert levels == [8, 8, 8, 12, 15]
    assert page.evaluate("[0, 2.5, 5, 99].map((nats) => DGemmaPlayer.parts.inkOfEntropy(nats, 0))") == [
        15,
        7,
        0,
        0,
    ]
    assert page.evaluate("[1, 2, 5, 0, null].map(DGemmaPlayer.parts.bandOfRank)") == [-1, 3, 12, 15, -1]


def test_ends_of_text_are_no_tokens_per_second(page: Page) -> None:
    counted = page.evaluate(
        """() => {
          const run = { live: true, canvasLength: 4, words: [" fox", "end"],
            ids: [7, 1], eosIds: new Set([1]) };
          const canvas = [0, 0, 1, 1];
          const frame = { block: 0, ended: "", best: canvas, canvas, accepted: [1, 0, 1, 1] };
          return DGemmaPlayer.parts.decidedTokens(run, { frames: [frame] });
        }"""
    )
    assert counted == 1


def test_drafts_of_different_length_hold_their_last_pass(page: Page) -> None:
    axis = page.evaluate(
        """() => {
          const frames = (list) => ({ frames: list.map(([block, step]) => ({ block, step })) });
          const { timeAxis, framesBySlot } = DGemmaPlayer.parts;
          const long = frames([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]]);
          const run = { tracks: [long, frames([[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]])] };
          const axis = timeAxis(run);
          return [axis.starts, axis.slots, run.tracks.map((track) => [...framesBySlot(axis, track.frames)])];
        }"""
    )

    assert axis == [[0, 3], 6, [[0, 1, 2, 3, 4, 4], [0, 1, 1, 2, 3, 4]]]


def test_no_line_of_a_live_canvas_grows_wider_than_the_card(page: Page) -> None:
    worst = page.evaluate(
        """() => {
          let seed = 1, worst = 0;
          const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
          for (const measure of [12, 15.6, 22, 40]) for (const left of [0, 5]) {
            const lines = new DGemmaPlayer.parts.Compositor(120, measure, 0.25, left);
            for (let k = 0; k < 400; k++) {
              const p = Math.floor(random() * 120);
              if (lines.fixed[p] && random() < 0.2) lines.release(p);
              else {
                const breaks = random() < 0.02 ? 1 : 0;
                const word = { width: 0.3 + 4 * random(), lead: random() < 0.8, breaks };
                lines.accept(p, { ...word, joins: false, end: false });
              }
              for (let a = 0, to = 0; a < 120; a = to) {
                const from = a;
                to = lines.line(a)[1];
                if (to - from > 1) worst = Math.max(worst, lines.lineWidth(from, to) - lines.room(from));
              }
            }
          }
          return worst;
        }"""
    )

    assert worst <= 0.5 + 0.02  # a card's padding is 0.93 em


def test_the_oldest_runs_make_room_for_a_new_one(page: Page) -> None:
    gone = page.evaluate(
        """() => {
          const runs = Array.from({ length: 14 }, (_, k) => ({ id: k, size: 1 }));
          const big = [{ id: "a", size: 30 * 2 ** 20 }, { id: "b", size: 30 * 2 ** 20 }];
          const { overflowing } = DGemmaPlayer.parts;
          const gone = (size, others) => overflowing({ size }, others).map((run) => run.id);
          return [gone(1, runs), gone(10 * 2 ** 20, big)];
        }"""
    )

    assert gone == [[11, 12, 13], ["b"]]
