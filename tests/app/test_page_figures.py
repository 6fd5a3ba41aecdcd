"""Figures: what they show is the trace's, and no word of it is read as markup."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
import pytest

from dgemma_play.errors import InputError
from dgemma_play.page import events
from dgemma_play.page import figures as drawn
from tests.synthetic import synthetic

figures: Any = drawn  # plotly's stubs know no traces
TRACE = synthetic(drafts=3, canvas=16, steps=8, blocks=2, early=False)


def test_the_heatmap_is_the_confidence_of_the_draft_and_blank_where_there_is_no_guess() -> None:
    track = TRACE.tracks[1]
    shown = np.asarray(figures.heatmap(TRACE, 1).data[0].z, float)
    assert shown.shape == (16, len(track.step))
    np.testing.assert_array_equal(np.isnan(shown).all(axis=0), ~track.has_guess)
    np.testing.assert_allclose(shown[:, track.has_guess], track.confidence[track.has_guess].T)


def test_a_rule_stands_where_a_block_begins() -> None:
    assert [shape.x0 for shape in figures.heatmap(TRACE, 0).layout.shapes] == [8.5]


def test_the_rules_of_very_many_blocks_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    track = TRACE.tracks[0]
    blocks = np.arange(track.canvas_ids.size, dtype=np.int32)  # of one token, and of its noise alone
    columns = {
        name: np.resize(value, (len(blocks), 1, *value.shape[2:]))
        for name, value in vars(track).items()
        if isinstance(value, np.ndarray) and value.ndim > 1
    }
    still = {"step": blocks * 0, "temperature": blocks * 0.5, "seconds": blocks * 0.5}
    ended = ("",) * len(blocks)
    crafted = replace(track, block=blocks, canvas_ended=ended, **still, **columns)
    trace = replace(TRACE, canvas_length=1, tracks=(crafted,))
    monkeypatch.setattr(figures.go.Figure, "add_shape", None)  # one by one they take minutes
    for figure in (figures.heatmap(trace, 0), figures.timeline(trace)):
        assert [rule.x0 for rule in figure.layout.shapes] == [block - 0.5 for block in blocks[1:]]


def test_the_timeline_has_two_lines_per_draft_and_leaves_out_the_noise() -> None:
    lines = figures.timeline(TRACE).data
    assert len(lines) == 6
    track = TRACE.tracks[0]
    assert tuple(lines[0].text[10:12]) == ("block 2, step 1", "block 2, step 2")
    shown = np.asarray(lines[1].y, float)
    np.testing.assert_array_equal(np.isnan(shown), ~track.has_guess)
    np.testing.assert_allclose(shown[track.has_guess], track.accepted[track.has_guess].mean(axis=1))


def test_steps_are_counted_from_the_beginning_of_their_block() -> None:
    figure = figures.heatmap(TRACE, 1)
    cells = figure.data[0]
    assert cells.text[3][10] == "block 2, step 1"
    assert cells.x[10] == 10
    axis = figure.layout.xaxis
    assert list(zip(axis.tickvals, axis.ticktext, strict=True)) == [(0, "0"), (5, "5"), (9, "0"), (14, "5")]
    one = figures.heatmap(synthetic(drafts=1, canvas=16, steps=8), 0)
    assert one.data[0].text[0][1] == "step 1"
    assert one.layout.xaxis.title.text == "step"


def test_blocks_begin_together_where_drafts_took_different_steps() -> None:
    trace = synthetic(drafts=3, canvas=16, steps=8, blocks=2)
    ends = [track.step[track.block == 0].max() for track in trace.tracks]
    assert len(set(ends)) > 1
    for track, line in zip(trace.tracks, figures.timeline(trace).data[::2], strict=True):
        second = track.block == 1
        np.testing.assert_array_equal(np.asarray(line.x)[-second.sum() :], 1 + max(ends) + track.step[second])


def test_a_draft_too_large_to_draw_is_refused_before_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_CELLS", TRACE.tracks[0].canvas_ids.size - 1)
    with pytest.raises(InputError, match="Draft 1 is too large for a heatmap"):
        figures.heatmap(TRACE, 0)
    assert figures.timeline(TRACE).data


def test_words_are_escaped_and_blanks_made_visible() -> None:
    hostile = synthetic(drafts=1, canvas=32, steps=4, hostile=True)
    shown = {word for row in figures.heatmap(hostile, 0).data[0].customdata for word in row}
    assert not any("<" in word for word in shown)
    assert any("&lt;img" in word for word in shown)
    assert all(word.isprintable() for word in shown)


def test_a_draft_that_is_not_there_is_refused() -> None:
    for draft in (-1, 3):
        with pytest.raises(InputError, match=f"There is no draft {draft + 1} in this run: it has 3"):
            figures.heatmap(TRACE, draft)


@pytest.mark.parametrize("sent", [None, 7, "é", "a", "ab c", base64.b64encode(b"a run").decode()])
def test_what_comes_for_a_figure_and_is_no_trace_is_told(sent: object) -> None:
    event = gr.EventData(None, {"kind": "timeline", "trace": sent})
    with pytest.raises(gr.Error, match=r"not a trace|not a DGemma Play trace|too large"):
        events.figure(event)


@pytest.mark.parametrize("dark", [False, True])
def test_both_figures_can_be_sent_as_json(dark: bool) -> None:
    for figure in (figures.heatmap(TRACE, 0, dark), figures.timeline(TRACE, dark)):
        assert json.loads(figure.to_json() or "")["data"]
