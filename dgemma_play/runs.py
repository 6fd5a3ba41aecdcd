"""One run at a time: who is next, for how long, and what they are told meanwhile.

    visitor ──live()──► line ──turn──► a thread computes: frames ──► Recorder (trace)
       ▲                                                   └──────► pending frames
       └── Queued … Running, Drafted, Drafted …, Ended ◄── at most 20 messages a second ──┘

The runner takes any function from a job to frames (`Denoise`); it knows neither the engine nor Gradio. The
frames are computed in a thread of their own, so a slow reader slows nobody down: what piles up travels in one
message. A turn ends when the thread has ended, whatever became of the reader.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from .errors import BusyError, PlayError
from .messages import Drafted, Ended, Failed, LiveEncoder, Note, Queued, Running, Update
from .recorder import Recorder
from .settings import Message, Settings
from .trace import Frame, Frames

#: Most live messages a second.
RATE = 20
#: Most positions (frames × canvas) in one live message; beyond it only each block's newest frames travel.
MESSAGE_CELLS = 32_768
#: Seconds to wait for the other frames of a pass.
BURST = 0.004
#: Seconds after which a waiting visitor is told its place again.
PATIENCE = 1.0

FAILED = (
    "Something went wrong in this run; what was written is kept. Try again, and look at the program's log."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What a visitor asks for; it can be pickled."""

    prompt: str | Sequence[Message]
    settings: Settings


class Denoise(Protocol):
    """A job's frames; raises `InputError` for what it refuses. Nothing is computed before the first frame.

    Frames with a `stop(draft=None)` can end single drafts, and all of them within a pass.
    """

    def __call__(self, job: Job) -> Frames: ...


Gpu = Callable[[Callable[[Job], Iterator[Frame]]], Callable[[Job], Iterator[Frame]]]


class _Turn:
    """A visitor's place in line, and then its run."""

    def __init__(self, visitor: str, frames: Frames) -> None:
        self.visitor = visitor
        self.frames = frames
        self.run = secrets.token_hex(8)
        self.stopped = threading.Event()
        self.late = False  # stopped by the deadline
        self.began: float | None = None
        self.recorder = Recorder(frames)
        self.pending = _Pending(MESSAGE_CELLS // frames.facts.canvas_length)

    def stop(self, draft: int | None) -> None:
        if draft is None:
            self.stopped.set()
        stop = getattr(self.frames, "stop", None)
        if stop:
            stop(draft)


class Runner:
    """Runs jobs one after another, one per visitor.

    `model` is what is shown of the model and `defaults` its own sampler settings. `gpu` decorates the
    function that computes: on ZeroGPU it runs elsewhere, so its job and frames are pickled and it starts the
    job anew; `None` computes here.
    """

    def __init__(
        self,
        denoise: Denoise,
        *,
        model: Mapping[str, Any],
        defaults: Mapping[str, int | float],
        gpu: Gpu | None = None,
        deadline: float = 600.0,
        places: int = 16,
    ) -> None:
        self.model = model
        self.defaults = defaults
        self._denoise = denoise
        self._elsewhere = gpu(self._start_anew) if gpu else None
        self._deadline = deadline
        self._places = places
        self._line: list[_Turn] = []  # the first one has the turn
        self._changed = threading.Condition()
        self._lasted: deque[float] = deque(maxlen=8)

    def live(self, visitor: str, prompt: str | Sequence[Message], settings: Settings) -> Iterator[Update]:
        """A run from its place in line to its trace. Raises `PlayError` for a job that can't be taken.

        Closing the iterator (the visitor left) gives the turn back.
        """
        turn = self._enter(_Turn(visitor, self._denoise(Job(prompt, settings))))
        try:
            while place := self._place(turn):
                yield Queued(place, self._wait(place))
                with self._changed:
                    self._changed.wait_for(lambda: turn.stopped.is_set() or turn.began, PATIENCE)
                if turn.stopped.is_set() and not turn.began:
                    yield Failed("You left the line before your turn; nothing was written.", turn.run)
                    return
            yield Running(turn.run, turn.frames.facts, self.model)
            yield from _messages(turn)
            yield from self._end(turn)
        finally:
            turn.stop(None)
            with self._changed:  # between the look and the leaving its turn could come
                if not turn.began:
                    self._leave(turn)

    def stop(self, visitor: str, draft: int | None = None) -> None:
        """Stop the visitor's run, or one draft of it; a pass that is just beginning is still made."""
        with self._changed:
            for turn in self._line:
                if turn.visitor == visitor:
                    turn.stop(draft)
            self._changed.notify_all()

    # --- the line --------------------------------------------------------------------------------

    def _enter(self, turn: _Turn) -> _Turn:
        with self._changed:
            # A run that is being stopped doesn't count: its last pass may take a moment.
            if any(other.visitor == turn.visitor and not other.stopped.is_set() for other in self._line):
                raise BusyError("You have a run already: stop it, or wait until it has ended.")
            if len(self._line) >= self._places:
                raise BusyError(f"{len(self._line)} runs are waiting already: try again in a few minutes.")
            self._line.append(turn)
            self._begin()
            return turn

    def _leave(self, turn: _Turn) -> None:
        with self._changed:
            self._line.remove(turn)
            self._begin()
            self._changed.notify_all()

    def _begin(self) -> None:
        """Set the first one in line to work, whether or not anybody is reading just now."""
        if self._line and not self._line[0].began:
            turn = self._line[0]
            turn.began = time.monotonic()
            threading.Thread(target=self._compute, args=(turn,), name=f"run {turn.run}", daemon=True).start()

    def _place(self, turn: _Turn) -> int:
        """How many are before `turn`; 0 once it has begun."""
        with self._changed:
            return 0 if turn.began else self._line.index(turn)

    def _wait(self, place: int) -> float | None:
        """Seconds until `place` runs are over, by what the last ones took; `None` before the first."""
        with self._changed:
            if not self._lasted or not self._line:
                return None
            usual = median(self._lasted)
            gone = time.monotonic() - (self._line[0].began or 0.0)
            return max(0.0, usual - gone) + (place - 1) * usual

    # --- the work --------------------------------------------------------------------------------

    def _compute(self, turn: _Turn) -> None:
        """In a thread: every frame into the recorder and, for the reader, into `pending`."""
        began = time.monotonic()
        error: Exception | None = None
        turn.recorder = Recorder(turn.frames)  # its clock begins with the run
        try:
            with contextlib.closing(self._frames(turn)) as frames:
                for frame in frames:
                    turn.recorder.add(frame)
                    turn.pending.put(frame)
                    if time.monotonic() - began > self._deadline and not turn.stopped.is_set():
                        turn.late = True
                        turn.stop(None)
        except Exception as caught:  # whatever it is, the visitor is told and the next one has its turn
            error = caught
        finally:
            self._lasted.append(time.monotonic() - began)
            self._leave(turn)
            turn.pending.end(error)

    def _frames(self, turn: _Turn) -> Generator[Frame]:
        """The frames of a turn until it is stopped; a stopped engine still hands out the pass it was in."""
        facts, ends_itself = turn.frames.facts, hasattr(turn.frames, "stop") and not self._elsewhere
        frames = self._elsewhere(Job(facts.prompt, facts.settings)) if self._elsewhere else turn.frames
        try:
            for frame in frames:
                yield frame
                if turn.stopped.is_set() and not ends_itself:
                    return
        finally:
            close = getattr(frames, "close", None)
            if close:
                close()

    def _start_anew(self, job: Job) -> Iterator[Frame]:
        yield from self._denoise(job)

    def _end(self, turn: _Turn) -> Iterator[Update]:
        error = turn.pending.error
        if error is not None and not isinstance(error, PlayError):
            log.error("A run failed.", exc_info=error)
        trace = turn.recorder.trace(cut_off="failed" if error else "stopped")
        if not trace.tracks and error is None:
            yield Failed("The run was stopped before its first step; nothing was written.", turn.run)
        if trace.tracks:
            cut_off = any(track.ended == "stopped" for track in trace.tracks)
            yield Ended(turn.run, stopped=cut_off and turn.stopped.is_set(), trace=trace)
        if error is not None:
            yield Failed(str(error) if isinstance(error, PlayError) else FAILED, turn.run)
        if turn.late:
            limit = f"{self._deadline / 60:.3g} minutes"
            yield Note(
                turn.run, f"The run met its limit of {limit} and was stopped; what was written is kept."
            )
        if any(track.steps_used > track.has_guess.sum() for track in trace.tracks):
            yield Note(
                turn.run,
                "This run was too long to keep whole: steps between the first and last are left out.",
            )


class _Pending:
    """Frames between the thread that computes and the one that tells.

    Of more than `most` only each block's newest are kept: one per draft.
    """

    def __init__(self, most: int) -> None:
        self.error: Exception | None = None
        self.ended = threading.Event()
        self._most = most
        self._frames: list[Frame] = []
        self._changed = threading.Condition()

    def put(self, frame: Frame) -> None:
        with self._changed:
            self._frames.append(frame)
            if len(self._frames) > self._most:
                newest = {(each.block, each.draft): each for each in self._frames}
                self._frames = [newest[key] for key in sorted(newest)]
            self._changed.notify_all()

    def end(self, error: Exception | None) -> None:
        with self._changed:
            self.error = error
            self.ended.set()
            self._changed.notify_all()

    def take(self) -> list[Frame]:
        """The frames since the last call; waits for one. An empty list at the end of the run."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self.ended.is_set())
            # A pass hands out its drafts' frames in a burst: let them travel together.
            self._changed.wait_for(self.ended.is_set, BURST)
            frames, self._frames = self._frames, []
            return frames


def _messages(turn: _Turn) -> Iterator[Drafted | Note]:
    """What was computed, at most `RATE` times a second, and what the engine has to say of it."""
    encoder, pending = LiveEncoder(turn.run, turn.frames.facts.canvas_length), turn.pending
    said = 0
    while True:
        frames = pending.take()
        if not frames:
            return
        told = time.monotonic()
        yield Drafted(encoder.encode(frames, turn.recorder.words))
        notes = getattr(turn.frames, "notes", ())
        for sentence in notes[said:]:
            yield Note(turn.run, sentence)
        said = len(notes)
        pending.ended.wait(max(0.0, told + 1 / RATE - time.monotonic()))
