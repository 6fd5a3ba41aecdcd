"""Frames in, a trace out: collects what a run yields, and knows the words it has met.

Once `max_cells` (frames × positions) are used up, a later pass of a canvas takes the place of the one before
it: the noise and the text of every canvas are always there, and a track's `step` tells which passes lie
between.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from .settings import Settings
from .trace import (
    MAX_CELLS,
    MAX_WORD,
    PLANES,
    RIVALS,
    Frame,
    Frames,
    RunFacts,
    Trace,
    Track,
    committed,
    ids_of,
    until_end,
)


class Recorder:
    """Collects the frames of one run; `trace()` may be asked for at any time."""

    def __init__(self, frames: Frames, max_cells: int = MAX_CELLS) -> None:
        self._run = frames
        self._max_frames = max_cells // frames.facts.canvas_length
        self._count = 0
        self._started = time.perf_counter()
        # By draft: frames, and the seconds since the start at which each came.
        self._kept: list[list[tuple[Frame, float]]] = [[] for _ in range(frames.facts.settings.drafts)]
        self._steps_used = [0] * len(self._kept)
        self._words: dict[int, str] = {}

    @property
    def words(self) -> Mapping[int, str]:
        """The words of all token ids met so far."""
        return self._words

    def add(self, frame: Frame) -> None:
        """Keep a frame."""
        self._learn(frame)  # first: whoever interrupts here finds no frame without its words
        kept = self._kept[frame.draft]
        if self._count >= self._max_frames and frame.step and kept and kept[-1][0].step:
            kept.pop()
            self._count -= 1
        kept.append((frame, time.perf_counter() - self._started))
        self._count += 1
        self._steps_used[frame.draft] += frame.step > 0

    def _learn(self, frame: Frame) -> None:
        planes = [frame.canvas_ids] + ([] if frame.top_ids is None else [frame.best_ids, frame.top_ids])
        new = [i for i in np.unique(np.concatenate(planes, axis=None)).tolist() if i not in self._words]
        for token, word in zip(new, self._run.vocabulary.words(new), strict=True):
            self._words[token] = word[:MAX_WORD]

    def trace(self, cut_off: str = "stopped") -> Trace:
        """What was recorded so far. A draft cut off in mid-run ends as `cut_off`: "stopped" or "failed"."""
        facts = self._run.facts
        tracks = tuple(
            self._track(draft, seed, cut_off)
            for draft, seed in enumerate(facts.settings.seeds())
            if self._kept[draft]
        )
        ids = set[int]().union(*map(ids_of, tracks))
        return Trace(
            prompt=facts.prompt,
            model=facts.model,
            canvas_length=facts.canvas_length,
            eos_ids=facts.eos_ids,
            words={i: self._words[i] for i in sorted(ids)},
            tracks=tracks,
        )

    def _track(self, draft: int, seed: int, cut_off: str) -> Track:
        facts = self._run.facts
        frames = [frame for frame, _ in self._kept[draft]]
        columns: dict[str, Any] = {
            name: np.array([getattr(frame, name) for frame in frames])
            for name in ("block", "step", "temperature", "canvas_ids")
        }
        for name, (dtype, per_rival) in PLANES.items():
            blank = np.zeros((facts.canvas_length, RIVALS) if per_rival else facts.canvas_length, dtype)
            planes = [getattr(frame, name) for frame in frames]
            columns[name] = np.stack([blank if plane is None else plane for plane in planes])
        answer = until_end(committed(columns["step"], columns["best_ids"]), facts.eos_ids)
        return Track(
            seed=seed,
            settings=Settings(**{**facts.settings.to_dict(), "drafts": 1, "seed": None}),
            ended=_ending(frames[-1], answer, facts) or cut_off,
            text=self._run.vocabulary.text(answer[~np.isin(answer, facts.eos_ids)].tolist()),
            steps_used=self._steps_used[draft],
            seconds=np.round([seconds for _, seconds in self._kept[draft]], 4),  # as a file keeps them
            canvas_ended=tuple(frame.ended for frame in frames),
            **columns,
        )


def _ending(last: Frame, answer: np.ndarray, facts: RunFacts) -> str:
    """How an answer ended by itself or by a person; "" if the run was cut off."""
    if last.ended in ("", "stopped"):
        return last.ended
    if answer[-1] in facts.eos_ids:
        return "eos"
    return "length" if last.block == facts.blocks - 1 else ""
