"""Infill: a span of a known text is given back to noise, all else is pinned. Does the new text read on?

Stories lose their second and third sentence, functions all but their first line. Around each border of the
span stands a *seam*, three tokens to either side; the n-gram model of `readability` judges the seams.

Shapes: C canvas positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from dgemma_play import Settings, Start, Trace, denoise
from dgemma_play.training import measures, readability
from dgemma_play.training.grammar import plots
from dgemma_play.training.grammar.example import Example

_SEAM = 3  # tokens to either side of a border
_HOLED = 60  # texts of each form at most


@dataclass(frozen=True, eq=False)
class Hole:
    """A prompt, its whole canvas `ids [C]`, and the span of it that is given back to noise."""

    prompt: str
    ids: np.ndarray
    span: slice

    @property
    def start(self) -> Start:
        """Everything but the span is pinned."""
        pinned = np.ones(len(self.ids), bool)
        pinned[self.span] = False
        return Start(canvas_ids=self.ids, pinned=pinned)

    def filled_like(self, other: Hole) -> np.ndarray:
        """The canvas with another hole's text in the span (spans of one length)."""
        ids = self.ids.copy()
        ids[self.span] = other.ids[other.span]
        return ids


def story_hole(loaded: Any, example: Example) -> Hole:
    """The second and third of the five sentences."""
    first, second, third, *_ = plots.LENGTHS
    return Hole(example.prompt, _canvas(loaded, example), slice(first, first + second + third))


def code_hole(loaded: Any, example: Example) -> Hole:
    """Everything behind the first line, the tail of end tokens included."""
    ids = _canvas(loaded, example)
    newline = loaded.tokenizer.convert_tokens_to_ids("\n")
    return Hole(example.prompt, ids, slice(int(np.argmax(ids == newline)), len(ids)))


def _canvas(loaded: Any, example: Example) -> np.ndarray:
    ids = loaded.tokenizer.encode(example.answer, add_special_tokens=False)
    tail = [loaded.tokenizer.eos_token_id] * (loaded.canvas_length - len(ids))
    return np.array([*ids, *tail], np.int64)


def fill(loaded: Any, hole: Hole, seed: int) -> np.ndarray:
    """The canvas `[C]` that one draft makes of a hole."""
    settings = Settings(drafts=1, seed=seed, max_new_tokens=loaded.canvas_length)
    (track,) = Trace.record(denoise(loaded, hole.prompt, settings, starts=[hole.start])).tracks
    return track.best_ids[-1]


def table(
    loaded: Any, english: readability.NgramModel, examples: Sequence[Example]
) -> dict[str, dict[str, float]]:
    """Stories as the model fills them, as written, and with another story's span; then functions."""
    stories = [story_hole(loaded, example) for example in examples if example.form == "story"][:_HOLED]
    codes = [code_hole(loaded, example) for example in examples if example.form == "code"][:_HOLED]
    strangers = [*stories[1:], stories[0]]
    rows = {
        "stories, filled by the model": [fill(loaded, hole, 100 + k) for k, hole in enumerate(stories)],
        "stories, as written": [hole.ids for hole in stories],
        "stories, another's span": [
            hole.filled_like(other) for hole, other in zip(stories, strangers, strict=True)
        ],
    }
    result = {}
    for name, canvases in rows.items():
        seams = [
            text for hole, ids in zip(stories, canvases, strict=True) for text in _seams(loaded, hole, ids)
        ]
        result[name] = {
            **_kept(stories, canvases),
            "seam perplexity": english.perplexity(seams),
        }
    functions = [fill(loaded, hole, 100 + k) for k, hole in enumerate(codes)]
    result["functions, filled by the model"] = {
        **_kept(codes, functions),
        "parse": mean(float(measures.parses(_text(loaded, ids))) for ids in functions),
    }
    return result


def _kept(holes: Sequence[Hole], canvases: Sequence[np.ndarray]) -> dict[str, float]:
    pairs = list(zip(holes, canvases, strict=True))
    given = [np.delete(ids == hole.ids, np.r_[hole.span]).all() for hole, ids in pairs]
    return {
        "texts": len(pairs),
        "given kept": mean(map(float, given)),
        "as it was": mean(float(np.array_equal(ids, hole.ids)) for hole, ids in pairs),
    }


def _seams(loaded: Any, hole: Hole, ids: np.ndarray) -> list[str]:
    borders = (hole.span.start, hole.span.stop)
    return [loaded.tokenizer.decode(ids[border - _SEAM : border + _SEAM].tolist()) for border in borders]


def _text(loaded: Any, ids: np.ndarray) -> str:
    return loaded.tokenizer.decode(ids.tolist(), skip_special_tokens=True)
