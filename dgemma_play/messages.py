"""What the page is told while a run goes on: one line of text per message. NumPy only.

    "m" + base64    frames, as the engine computed them (`LiveEncoder`)
    "s" + JSON      where the run stands: queued, running, finished, stopped, failed, or a note

A frames message is base64 of gzip of one JSON header line and, per frame in the header's order, its planes,
little-endian, as in a trace file: canvas index [C]; of a frame with a guess also best index [C], confidence
float16 [C], entropy float16 [C] and accepted uint8 [C]. An index counts into the run-wide list of token ids
that the headers' `ids` and `words` append to, message after message; it has `known` entries before a message,
so that a reader who missed one (a tab in the background may) can leave its words open and go on. Rivals come
with the trace file alone, which replaces what was received: live messages are a preview of it.
"""

from __future__ import annotations

import base64
import gzip
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .trace import Frame, RunFacts, Trace

#: What a guess's values are sent as, in this order.
VALUES: Mapping[str, str] = {"confidence": "<f2", "entropy": "<f2", "accepted": "u1"}


class LiveEncoder:
    """Encodes the frames of one run, message after message; a word travels once."""

    def __init__(self, run: str, canvas_length: int) -> None:
        self._run = run
        self._canvas_length = canvas_length
        self._messages = 0
        self._ids = 0
        self._index = np.full(1024, -1, np.int64)  # token id -> position in the run-wide list

    def encode(self, frames: Sequence[Frame], words: Mapping[int, str]) -> str:
        """One message of `frames`; `words` knows the text of every token id in them."""
        planes = [
            plane for frame in frames for plane in (frame.canvas_ids, frame.best_ids) if plane is not None
        ]
        known = self._ids
        new = self._meet(np.concatenate([*planes, np.empty(0, np.int32)]))
        index_bytes = 2 if self._ids <= 2**16 else 4
        header = {
            "run": self._run,
            "seq": self._messages,
            "canvas_length": self._canvas_length,
            "index_bytes": index_bytes,
            "known": known,
            "ids": new,
            "words": [words[i] for i in new],
            "frames": [[f.draft, f.block, f.step, round(f.temperature, 6), f.ended] for f in frames],
        }
        self._messages += 1
        body = b"".join(self._planes(frame, np.dtype(f"<u{index_bytes}")) for frame in frames)
        line = json.dumps(header, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
        return base64.b64encode(gzip.compress(line + body, 6, mtime=0)).decode("ascii")

    def _meet(self, ids: np.ndarray) -> list[int]:
        """Append the ids that this run has not met to the list; returns them."""
        highest = int(ids.max(initial=0))
        if highest >= len(self._index):
            more = np.full(max(highest + 1, 2 * len(self._index)) - len(self._index), -1, np.int64)
            self._index = np.concatenate([self._index, more])
        new = np.unique(ids)
        new = new[self._index[new] < 0]
        self._index[new] = np.arange(self._ids, self._ids + len(new))
        self._ids += len(new)
        return new.tolist()

    def _planes(self, frame: Frame, index: np.dtype) -> bytes:
        planes = [self._index[frame.canvas_ids].astype(index)]
        if frame.best_ids is not None:
            planes.append(self._index[frame.best_ids].astype(index))
            planes += [np.asarray(getattr(frame, name)).astype(dtype) for name, dtype in VALUES.items()]
        return b"".join(plane.tobytes() for plane in planes)


# --- where a run stands, as `runs.Runner` tells it ---------------------------------------------------


@dataclass(frozen=True)
class Queued:
    """Waiting: `place` runs are before this one; `seconds` is the wait to expect, if that can be said."""

    place: int
    seconds: float | None

    def record(self) -> str:
        seconds = None if self.seconds is None else round(self.seconds, 1)
        return _state(state="queued", place=self.place, seconds=seconds)


@dataclass(frozen=True)
class Running:
    """The run has its turn; `model` is what the page's badge shows."""

    run: str
    facts: RunFacts
    model: Mapping[str, Any]

    def record(self) -> str:
        facts = self.facts
        return _state(
            state="running",
            run=self.run,
            drafts=facts.settings.drafts,
            canvas_length=facts.canvas_length,
            steps=facts.settings.steps,
            blocks=facts.blocks,
            prompt=next((m["content"] for m in reversed(facts.prompt) if m["role"] == "user"), ""),
            seeds=list(facts.settings.seeds()),
            settings=facts.settings.to_dict(),
            eos_ids=list(facts.eos_ids),
            model=dict(self.model),
        )


@dataclass(frozen=True)
class Drafted:
    """Frames, encoded."""

    message: str

    def record(self) -> str:
        return "m" + self.message


@dataclass(frozen=True, eq=False)
class Ended:
    """The run is over, by itself or by a person; the trace holds all that was computed."""

    run: str
    stopped: bool
    trace: Trace

    def record(self, url: str, name: str) -> str:
        state = "stopped" if self.stopped else "finished"
        return _state(state=state, run=self.run, url=url, name=name)


@dataclass(frozen=True)
class Failed:
    """The run, or the wish for one, came to nothing: a sentence says why and what to do."""

    sentence: str
    run: str | None = None

    def record(self) -> str:
        # The page hears a value only if it differs from the one before: the same refusal again is news, too.
        mark = secrets.token_hex(4)
        return _state(state="failed", run=self.run, sentence=self.sentence, mark=mark)


@dataclass(frozen=True)
class Note:
    """Something to know of a run that goes on, or went well."""

    run: str
    sentence: str

    def record(self) -> str:
        return _state(state="note", run=self.run, sentence=self.sentence)


Update = Queued | Running | Drafted | Ended | Failed | Note


def _state(**values: Any) -> str:
    # ASCII, so that no character of a prompt can end the line; and no "<", so that nothing looks like HTML.
    return "s" + json.dumps(values, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
