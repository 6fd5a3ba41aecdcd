"""Frames without a model: a recorded run computed again, pass by pass, as slowly as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from dgemma_play.runs import Job
from dgemma_play.settings import Settings, check_prompt
from dgemma_play.trace import Frame, RunFacts, Trace, Track


class Replayed:
    """A `runs.Denoise`'s frames: those of `trace`, for the prompt of `job`.

    Each pass lasts until `gate` opens, if there is one; `passes` counts those that began. Like the engine it
    stops between two passes, and ends by itself.
    """

    def __init__(self, trace: Trace, gate: threading.Semaphore | None = None, job: Job | None = None) -> None:
        longest = max(int(track.step.max()) for track in trace.tracks)
        self.facts = RunFacts(
            prompt=check_prompt(job.prompt) if job else trace.prompt,
            model=trace.model,
            settings=Settings(drafts=len(trace.tracks), steps=longest, seed=trace.tracks[0].seed).resolve({}),
            canvas_length=trace.canvas_length,
            eos_ids=trace.eos_ids,
        )
        self.vocabulary = self
        self.passes = 0
        self.closed = threading.Event()
        self._trace = trace
        self._gate = gate
        self._stopped: set[int] = set()

    def words(self, ids: Sequence[int]) -> list[str]:
        return [self._trace.words[i] for i in ids]

    def text(self, ids: Sequence[int]) -> str:
        return "".join(self._trace.words[i] for i in ids if i not in self._trace.eos_ids).strip()

    def stop(self, draft: int | None = None) -> None:
        self._stopped |= set(range(len(self._trace.tracks))) if draft is None else {draft}

    def __iter__(self) -> Iterator[Frame]:
        tracks = list(enumerate(self._trace.tracks))
        try:
            yield from (track.frame(0, draft) for draft, track in tracks if draft not in self._stopped)
            for step in range(1, self.facts.settings.steps + 1):
                active = [(k, t) for k, t in tracks if k not in self._stopped and step < _frames(t)]
                if not active:
                    return
                self.passes += 1
                if self._gate:
                    self._gate.acquire()
                yield from (track.frame(step, draft) for draft, track in active)
        finally:
            self.closed.set()


class Breaking(Replayed):
    """Frames that break off in the third pass, with an error that is nobody's business."""

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            if frame.step == 3:
                raise RuntimeError("<b>/secret/path</b>: out of luck")
            yield frame


def _frames(track: Track) -> int:
    """Frames of the first block."""
    return next(track.blocks).stop
