"""Frame, Track, Trace: what a run leaves behind, and what must always be true of it. NumPy only.

Shapes: F frames, C canvas positions, K = 5 rivals. Steps count up from 0, the noise before the first pass.

    Frame   one draft after one pass, as the engine yields it
    Track   one draft's whole way: its frames stacked, its seed, settings, times and end
    Trace   prompt, model, words and tracks: all that a player needs, no tokenizer

Arrays are read-only and positions are compared by index and token id.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Protocol

import numpy as np

from .settings import Message, Resolved, Settings

#: Rivals kept per position and step.
RIVALS = 5
#: Cells (frames × positions) that a recording keeps whole; see `recorder`.
MAX_CELLS = 2_000_000
#: Most characters of a token's text that are kept.
MAX_WORD = 1000

#: Why a canvas ends with this pass: not yet, the stop rule, the step cap, a person.
ENDED = ("", "stable", "steps", "stopped")
#: How an answer ended: an end-of-text token, the answer length, a person, an error.
ENDINGS = ("eos", "length", "stopped", "failed")

#: The planes of a guess, i.e. of every frame but step 0: name, dtype, per rival or per position.
PLANES: Mapping[str, tuple[type, bool]] = {
    "best_ids": (np.int32, False),
    "confidence": (np.float16, False),
    "entropy": (np.float16, False),
    "accepted": (np.bool_, False),
    "top_ids": (np.int32, True),
    "top_probs": (np.float16, True),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """One draft after one pass. At step 0 there is only noise: the guess's planes are `None`, never zero.

    `canvas_ids` is what the canvas holds after the pass, random tokens included; `best_ids` the argmax;
    `confidence` the probability (0–1) of the best token and `entropy` (nats) that of the temperature-scaled
    distribution; `accepted` the positions kept by the entropy bound; `top_ids` and `top_probs` the five
    likeliest tokens, best first.
    """

    draft: int
    block: int
    step: int
    temperature: float
    ended: str
    canvas_ids: np.ndarray  # [C] int32
    best_ids: np.ndarray | None = None  # [C] int32
    confidence: np.ndarray | None = None  # [C] float16
    entropy: np.ndarray | None = None  # [C] float16
    accepted: np.ndarray | None = None  # [C] bool
    top_ids: np.ndarray | None = None  # [C, K] int32
    top_probs: np.ndarray | None = None  # [C, K] float16

    def __post_init__(self) -> None:
        _require(self.ended in ENDED, f"ended is one of {ENDED}, got {self.ended!r}")
        _require(min(self.draft, self.block, self.step) >= 0, "draft, block and step count from 0")
        length = len(self.canvas_ids)
        _freeze(self, "canvas_ids", np.int32, (length,))
        for name, (dtype, per_rival) in PLANES.items():
            if self.step:
                _freeze(self, name, dtype, (length, RIVALS) if per_rival else (length,))
            else:
                _require(getattr(self, name) is None, f"a frame of step 0 has no {name}")

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Pickling, as between two processes, forgets that arrays are read-only.
        self.__dict__.update(state)
        self.__post_init__()


@dataclass(frozen=True, eq=False, kw_only=True)
class Track:
    """One draft's whole way, its F frames stacked in order; a block begins with its frame of step 0.

    Of a frame of step 0 only `canvas_ids` means anything: ask `has_guess`. `steps_used` counts every pass of
    the draft, recorded or not; `seconds` is when each frame came, from the start of the run.
    """

    seed: int
    settings: Settings
    ended: str
    text: str
    steps_used: int
    block: np.ndarray  # [F] int32
    step: np.ndarray  # [F] int32
    temperature: np.ndarray  # [F] float32
    seconds: np.ndarray  # [F] float32
    canvas_ended: tuple[str, ...]  # F words of ENDED
    canvas_ids: np.ndarray  # [F, C] int32
    best_ids: np.ndarray  # [F, C] int32
    confidence: np.ndarray  # [F, C] float16
    entropy: np.ndarray  # [F, C] float16
    accepted: np.ndarray  # [F, C] bool
    top_ids: np.ndarray  # [F, C, K] int32
    top_probs: np.ndarray  # [F, C, K] float16
    parent: int | None = None  # the track of this trace that it was made from

    def __post_init__(self) -> None:
        frames, length = self.canvas_ids.shape
        _require(self.ended in ENDINGS, f"an answer ends by one of {ENDINGS}, got {self.ended!r}")
        _require(len(self.canvas_ended) == frames, "one canvas_ended per frame")
        _require(set(self.canvas_ended) <= set(ENDED), f"canvas_ended are words of {ENDED}")
        for name, dtype in (("block", np.int32), ("step", np.int32), ("temperature", np.float32)):
            _freeze(self, name, dtype, (frames,))
        _freeze(self, "seconds", np.float32, (frames,))
        _freeze(self, "canvas_ids", np.int32, (frames, length))
        for name, (dtype, per_rival) in PLANES.items():
            _freeze(self, name, dtype, (frames, length, RIVALS) if per_rival else (frames, length))
        _require(
            bool(frames and (self.block[0], self.step[0]) == (0, 0)),
            "a track begins with block 0, step 0",
        )
        order = self.block.astype(np.int64) << 32 | self.step
        _require(bool((np.diff(order) > 0).all()), "a track's frames are in order of block and step")
        starts = np.unique(self.block, return_index=True)[1]
        _require(bool((self.step[starts] == 0).all()), "a block begins with its frame of step 0")

    @property
    def has_guess(self) -> np.ndarray:
        """[F] bool: False for the noise before a block's first pass."""
        return self.step > 0

    @property
    def blocks(self) -> Iterator[slice]:
        """The frames of each block."""
        starts = [*np.flatnonzero(self.step == 0).tolist(), len(self.step)]
        return (slice(a, b) for a, b in itertools.pairwise(starts))

    def frame(self, index: int, draft: int = 0) -> Frame:
        """Frame `index` of the track again, as the engine yielded it for `draft`."""
        guess = {name: getattr(self, name)[index] for name in PLANES} if self.step[index] else {}
        return Frame(
            draft=draft,
            block=int(self.block[index]),
            step=int(self.step[index]),
            temperature=float(self.temperature[index]),
            ended=self.canvas_ended[index],
            canvas_ids=self.canvas_ids[index],
            **guess,
        )

    @property
    def committed_ids(self) -> np.ndarray:
        """[blocks · C] int32: each canvas's last best guess; nothing for one without a pass."""
        return committed(self.step, self.best_ids)


@dataclass(frozen=True)
class ModelFacts:
    """Which model wrote a trace, and how it was run."""

    name: str
    revision: str
    precision: str
    device: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is known of a run before its first frame."""

    prompt: tuple[Message, ...]
    model: ModelFacts
    settings: Resolved
    canvas_length: int
    eos_ids: tuple[int, ...]

    @property
    def blocks(self) -> int:
        """The canvases of the longest answer: `max_new_tokens` rounded up."""
        return -(-self.settings.max_new_tokens // self.canvas_length)


class Vocabulary(Protocol):
    """Token ids as text."""

    def words(self, ids: Sequence[int]) -> list[str]:
        """What each token shows, with its leading space, special tokens and lone bytes by name."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """An answer as text: no special tokens."""
        ...


class Frames(Protocol):
    """What `engine.denoise` returns: an iterator of frames that carries its run's facts and vocabulary."""

    @property
    def facts(self) -> RunFacts:
        """What is known of the run."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The text of its token ids."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace:
    """A whole run. `words` holds the text of every token id that occurs in the tracks."""

    prompt: tuple[Message, ...]
    model: ModelFacts
    canvas_length: int
    eos_ids: tuple[int, ...]
    words: Mapping[int, str]
    tracks: tuple[Track, ...]

    def __post_init__(self) -> None:
        for track in self.tracks:
            _require(
                track.canvas_ids.shape[1] == self.canvas_length,
                "every track has the trace's canvas length",
            )
            missing = ids_of(track) - self.words.keys()
            _require(not missing, f"every token id has a word, {len(missing)} have none")

    @classmethod
    def record(cls, frames: Frames) -> Trace:
        """Run `frames` to its end and keep everything."""
        from .recorder import Recorder

        recorder = Recorder(frames)
        for frame in frames:
            recorder.add(frame)
        return recorder.trace()

    @property
    def texts(self) -> list[str]:
        """The answers as text a person can use: no special tokens, nothing after the end of text."""
        return [track.text for track in self.tracks]

    @property
    def token_ids(self) -> list[np.ndarray]:
        """Per draft the committed token ids, up to and with the end of text."""
        return [until_end(track.committed_ids, self.eos_ids) for track in self.tracks]

    @property
    def steps_used(self) -> list[int]:
        """Per draft the passes made, summed over blocks."""
        return [track.steps_used for track in self.tracks]

    @property
    def seeds(self) -> list[int]:
        """The seed of each draft."""
        return [track.seed for track in self.tracks]

    def save(self, path: str | PathLike[str]) -> None:
        """Write a trace file (see `codec`), whole or not at all."""
        from . import codec

        codec.save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Trace:
        """Read a trace file; raises `TraceError` with a sentence if it isn't one."""
        from . import codec

        return codec.load(path)


def committed(step: np.ndarray, best_ids: np.ndarray) -> np.ndarray:
    """[blocks · C] int32: the best guess at each canvas's last pass, by a track's step [F] and guesses."""
    last = np.append(step[1:] == 0, True) & (step > 0)
    return best_ids[last].reshape(-1)


def until_end(ids: np.ndarray, eos_ids: Iterable[int]) -> np.ndarray:
    """`ids` up to and with the first end-of-text token; all of them where there is none."""
    ends = np.flatnonzero(np.isin(ids, list(eos_ids)))
    return ids[: ends[0] + 1] if len(ends) else ids


def ids_of(track: Track) -> set[int]:
    """Every token id that occurs in a track."""
    guessed = track.has_guess
    planes = (track.canvas_ids, track.best_ids[guessed], track.top_ids[guessed])
    return set().union(*(np.unique(plane).tolist() for plane in planes))


def _freeze(record: Any, name: str, dtype: type, shape: tuple[int, ...]) -> None:
    """Give a field its dtype and make it a read-only copy: the caller's array is the caller's."""
    array = getattr(record, name)
    _require(isinstance(array, np.ndarray) and array.shape == shape, f"{name} has shape {shape}")
    _require(
        np.can_cast(array.dtype, dtype, "same_kind"),
        f"{name} is {np.dtype(dtype)}, got {array.dtype}",
    )
    array = array.astype(dtype)
    array.flags.writeable = False
    object.__setattr__(record, name, array)


def _require(true: bool, what: str) -> None:
    if not true:
        raise ValueError(f"Not a valid recording: {what}.")
