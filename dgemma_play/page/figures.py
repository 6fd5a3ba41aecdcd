"""Figures with axes, zoom and export (plotly) of what a trace tells; arrays in, a figure out."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dgemma_play.errors import InputError
from dgemma_play.trace import Trace, Track

from .theme import DARK, LIGHT

#: Unsure to sure: the player's ramp (equal steps in OKLab), light and dark.
RAMPS = (
    "dad3b9 cac6b2 bbb9ab abada4 9ca09d 8e9496 7f888f 717c87"
    " 637080 566479 485871 3b4d6a 2e4262 22365a 162b53 0a204b",
    "334461 3f4e69 4a5971 566479 636f81 6f7a89 7c8591 889099"
    " 969ca1 a3a8a9 b0b3b1 bebfb9 cccbc2 dad8ca e8e4d2 f6f0da",
)
#: Viridis without its palest end, to tell drafts apart: light and dark.
DRAFT_RAMPS = (
    "9cd842 5dc666 2eaf7f 22938b 2c768e 3a578b 45367f 461261",
    "fde725 c2e02a 84d34f 4ec06e 29a983 238f8c 2d748e 5b6bb0",
)
#: Most cells (frames × positions) of a heatmap: each is also a word and a place to hover on.
MOST_CELLS = 2**19


def heatmap(trace: Trace, draft: int, dark: bool = False) -> go.Figure:
    """Confidence of one draft, positions of a block down and steps across, block after block.

    The noise before a pass is left blank. Raises `InputError` for a draft that is not there or too large.
    """
    if not 0 <= draft < len(trace.tracks):
        raise InputError(f"There is no draft {draft + 1} in this run: it has {len(trace.tracks)}.")
    track = trace.tracks[draft]
    if track.canvas_ids.size > MOST_CELLS:
        raise InputError(
            f"Draft {draft + 1} is too large for a heatmap: it has {track.canvas_ids.size} cells (steps ×"
            f" positions), at most {MOST_CELLS} can be drawn. The timeline has no such limit."
        )
    axis = _Axis.of([track])
    guessed = track.has_guess[:, None]
    confidence = np.where(guessed, track.confidence.astype(np.float32), np.nan)
    words = np.array([[_word(trace, i) for i in ids] for ids in track.best_ids.tolist()], dtype=object)
    figure = go.Figure(
        go.Heatmap(
            x=axis.places(track),
            z=confidence.T,
            text=np.broadcast_to(_steps(track), confidence.T.shape),
            customdata=np.where(guessed, words, "no guess yet").T,
            colorscale=_colorscale(_hex(RAMPS[dark])),
            zmin=0,
            zmax=1,
            colorbar={"title": "confidence", "thickness": 12, "outlinewidth": 0},
            hovertemplate="%{text} · position %{y}<br>%{customdata}<br>confidence %{z:.2f}<extra></extra>",
        )
    )
    _dress(figure, f"Confidence, draft {draft + 1} (seed {track.seed})", dark)
    _blocks(figure, axis, dark)
    figure.update_yaxes(title="position", autorange="reversed")
    return figure


def timeline(trace: Trace, dark: bool = False) -> go.Figure:
    """Mean entropy and accepted share of every draft over its steps; all drafts' blocks begin together."""
    figure = go.Figure()
    axis = _Axis.of(trace.tracks)
    ramp, last = _hex(DRAFT_RAMPS[dark]), max(1, len(trace.tracks) - 1)
    for draft, track in enumerate(trace.tracks):
        noise = ~track.has_guess  # a gap: each block begins a line of its own
        x, steps = axis.places(track), _steps(track)
        line = {"color": ramp[round(draft * (len(ramp) - 1) / last)], "width": 1.6}
        name = f"draft {draft + 1}"
        entropy = np.where(noise, np.nan, track.entropy.astype(np.float32).mean(axis=1))
        kept = np.where(noise, np.nan, track.accepted.mean(axis=1))
        hover = f"draft {draft + 1}, %{{text}}<br>"
        figure.add_scatter(
            x=x,
            y=entropy,
            text=steps,
            name=name,
            legendgroup=name,
            line=line,
            hovertemplate=hover + "mean entropy %{y:.3f} nats<extra></extra>",
        )
        figure.add_scatter(
            x=x,
            y=kept,
            text=steps,
            name=name,
            legendgroup=name,
            showlegend=False,
            yaxis="y2",
            line=line | {"dash": "dot"},
            hovertemplate=hover + "accepted %{y:.0%}<extra></extra>",
        )
    _dress(figure, "Mean entropy (lines) and accepted share (dots)", dark)
    _blocks(figure, axis, dark)
    figure.update_yaxes(title="mean entropy, nats", rangemode="tozero")
    figure.update_layout(
        yaxis2={
            "title": "accepted share",
            "overlaying": "y",
            "side": "right",
            "range": [0, 1.02],
            "tickformat": ".0%",
            "showgrid": False,
        },
        legend={"orientation": "h", "y": -0.2},
    )
    return figure


def _word(trace: Trace, token_id: int) -> str:
    """A token for a hover label: plotly reads tags there, so they are escaped; blanks are made visible."""
    word = trace.words.get(token_id, "")
    visible = "".join(c if c.isprintable() else "·" for c in word.replace("\n", "↵").replace("\t", "⇥"))
    return html.escape(visible)


def _hex(ramp: str) -> list[str]:
    return [f"#{colour}" for colour in ramp.split()]


def _colorscale(ramp: Sequence[str]) -> list[tuple[float, str]]:
    return [(i / (len(ramp) - 1), colour) for i, colour in enumerate(ramp)]


@dataclass(frozen=True, eq=False)
class _Axis:
    """Where steps are across a figure: a block begins where the longest draft ends the one before it."""

    blocks: np.ndarray  # [B] int32: the blocks there are, in order
    lengths: np.ndarray  # [B] int64: the steps of each, its noise included

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> _Axis:
        blocks = np.unique(np.concatenate([track.block for track in tracks]))
        lengths = np.zeros(len(blocks), np.int64)
        for track in tracks:
            np.maximum.at(lengths, np.searchsorted(blocks, track.block), track.step.astype(np.int64) + 1)
        return cls(blocks, lengths)

    @property
    def starts(self) -> np.ndarray:
        """[B] int64."""
        return np.cumsum(self.lengths) - self.lengths

    def places(self, track: Track) -> np.ndarray:
        """[F] int64: where each frame of a draft is."""
        return self.starts[np.searchsorted(self.blocks, track.block)] + track.step

    def ticks(self) -> list[tuple[int, str]]:
        """Some 30 places and the steps that they are."""
        every = 5 * ceil(self.lengths.sum() / 150)
        return [
            (start + step, str(step))
            for start, length in zip(self.starts.tolist(), self.lengths.tolist(), strict=True)
            for step in range(0, length, every)
        ]


def _steps(track: Track) -> np.ndarray:
    """What each frame is called: its step, and its block if there are several."""
    several = track.block[-1] > 0
    return np.array(
        [
            f"block {block + 1}, step {step}" if several else f"step {step}"
            for block, step in zip(track.block.tolist(), track.step.tolist(), strict=True)
        ],
        dtype=object,
    )


def _blocks(figure: go.Figure, axis: _Axis, dark: bool) -> None:
    """A rule where a block begins, and steps that are counted from there."""
    if len(axis.blocks) == 1:
        return
    rule = {"type": "line", "xref": "x", "yref": "y domain", "y0": 0, "y1": 1}
    rule |= {"line": {"color": (DARK if dark else LIGHT)["accent"], "dash": "dot"}}
    begins = (axis.starts[1:] - 0.5).tolist()
    # All at once: plotly's add_vline looks through every rule that is there, so many blocks take minutes.
    figure.update_layout(shapes=[rule | {"x0": x, "x1": x} for x in begins])
    places, steps = zip(*axis.ticks(), strict=True)
    figure.update_xaxes(title="step of its block", tickvals=places, ticktext=steps)


def _dress(figure: go.Figure, title: str, dark: bool) -> None:
    colours = DARK if dark else LIGHT
    grid: dict[str, Any] = {
        "gridcolor": colours["rule"],
        "zerolinecolor": colours["rule"],
        "linecolor": colours["edge"],
    }
    figure.update_layout(
        title={"text": title, "font": {"size": 16}},
        font={"family": "DG Sans, Segoe UI, Roboto, sans-serif", "color": colours["ink"], "size": 13},
        paper_bgcolor=colours["paper"],
        plot_bgcolor=colours["paper"],
        margin={"l": 64, "r": 64, "t": 48, "b": 48},
        height=460,
    )
    figure.update_xaxes(title="step", **grid)
    figure.update_yaxes(**grid)
