"""The only place that knows bytes: a trace <-> its file.

A `.dgemma` file is gzip around one line of JSON, the header, and the binary planes that follow it. Everything
is little-endian. Per track, with F frames of C positions, G of them with a guess (all but those of step 0):

    canvas      [F, C]  index     what the canvas holds
    best        [G, C]  index     the likeliest token
    confidence  [G, C]  float16   its probability, 0–1
    entropy     [G, C]  float16   nats
    accepted    [G, C]  uint8     0 or 1
    rival ids   [R, 5]  index     the five likeliest tokens, best first, and
    rival probs [R, 5]  float16   their probabilities, at the R positions with a confidence below SURE

An index is an unsigned integer of `index_bytes` bytes into the header's `ids` and `words`. Uniform noise does
not compress, so this is where the size goes: no plane holds more than a player shows.

A file comes from strangers. The reader bounds what it unpacks, checks every length, range and word, runs
nothing and imports nothing; whatever is wrong becomes a `TraceError`.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .errors import InputError, TraceError
from .settings import KNOBS, MAX_SEED, Settings, check_prompt
from .trace import MAX_CELLS, MAX_WORD, PLANES, RIVALS, ModelFacts, Trace, Track

FORMAT, VERSION = "dgemma-trace", 1
#: Above this confidence the rivals of a position are not kept in a file.
SURE = 0.999
#: Bytes of a position with its rivals at most: two indices, two float16, a flag, five rivals.
CELL_BYTES = 2 * 4 + 2 * 2 + 1 + RIVALS * (4 + 2)
#: Limits on what is read: the file, what it unpacks to, and its header.
MAX_FILE_BYTES = 64 * 2**20
MAX_HEADER_BYTES = 12 * 2**20
MAX_TRACKS, MAX_TRACK_CELLS = 256, 2 * MAX_CELLS
#: No answer has more blocks than tokens.
MAX_BLOCKS = int(KNOBS["max_new_tokens"].high)

SUFFIX = ".dgemma"


def save(trace: Trace, path: str | PathLike[str]) -> None:
    """Write `trace` to `path`, whole or not at all. Raises `TraceError` if the place can't be written."""
    write(encode(trace), path)


def write(data: bytes, path: str | PathLike[str]) -> None:
    """Write what a trace is kept in to `path`, as `save` does."""
    try:
        target = Path(path)
        part = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            part.write_bytes(data)
            part.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise TraceError(f"The trace could not be written to {path}: {_cause(error)}.") from error


def load(path: str | PathLike[str]) -> Trace:
    """Read a trace file. Raises `TraceError` with a sentence for anything that isn't a whole, valid one."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise TraceError(f"The trace file {path} could not be read: {_cause(error)}.") from error
    return decode(data)


def encode(trace: Trace) -> bytes:
    """The bytes of a trace file. The same trace gives the same bytes.

    Raises `TraceError` for what `decode` would refuse: a run that is too large, or has no drafts.
    """
    if not trace.tracks:
        raise TraceError("There is nothing to keep of this run: none of its drafts began.")
    ids = np.array(sorted(trace.words), np.int32)
    index_bytes = next(size for size in (1, 2, 4) if len(ids) <= 256**size)
    header = {
        "format": FORMAT,
        "version": VERSION,
        "prompt": [dict(message) for message in trace.prompt],
        "model": vars(trace.model),
        "canvas_length": trace.canvas_length,
        "eos_ids": list(trace.eos_ids),
        "index_bytes": index_bytes,
        "ids": ids.tolist(),
        "words": [trace.words[i] for i in ids.tolist()],
        "tracks": [_track_header(track) for track in trace.tracks],
    }
    line = json.dumps(header, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
    _check_size("header", len(line), MAX_HEADER_BYTES)
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as file:
        file.write(line)
        for track in trace.tracks:
            for plane in _planes(track, ids, np.dtype(f"<u{index_bytes}")):
                file.write(plane.tobytes())
    _check_size("file", out.tell(), MAX_FILE_BYTES)
    return out.getvalue()


def _check_size(what: str, size: int, most: int) -> None:
    if size > most:
        raise TraceError(f"This run is too large to be kept: its {what} would be over {most >> 20} MiB.")


def decode(data: bytes) -> Trace:
    """The trace in the bytes of a file. Raises `TraceError`."""
    if len(data) > MAX_FILE_BYTES:
        raise TraceError(f"The trace file is larger than {MAX_FILE_BYTES >> 20} MiB and was not read.")
    unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        # The header first: it says how much may follow.
        line, newline, planes = unzip.decompress(data, MAX_HEADER_BYTES).partition(b"\n")
        header = json.loads(line) if newline else None
    except (zlib.error, ValueError, RecursionError) as error:
        raise TraceError("This is not a DGemma Play trace, or it was damaged on the way.") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise TraceError("This is not a DGemma Play trace.")
    if header.get("version") != VERSION:
        raise TraceError(
            f"The trace is of version {header.get('version')!r:.20}, this program reads version {VERSION}:"
            " open it with the version of DGemma Play that wrote it."
        )
    try:
        most = _cells(header) * CELL_BYTES - len(planes)
        return _trace(header, _Reader(planes + _rest(unzip, max(most, 0) + 64)))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, InputError) as error:
        raise TraceError(f"The trace file is damaged: {_reason(error)}") from error


def _cells(header: Mapping[str, Any]) -> int:
    """Positions that a header promises: bounded before arrays are made of them."""
    length = _whole(header["canvas_length"], 1, MAX_TRACK_CELLS, "canvas_length")
    heads = _list(header["tracks"], MAX_TRACKS)
    cells = length * sum(len(_list(head["step"], MAX_TRACK_CELLS)) for head in heads)
    if cells > MAX_TRACK_CELLS:
        raise ValueError(f"it holds more than {MAX_TRACK_CELLS:,} positions.")
    return cells


def _rest(unzip: Any, most: int) -> bytes:
    try:
        rest = unzip.decompress(unzip.unconsumed_tail, most)
    except zlib.error as error:
        raise ValueError("its bytes were changed on the way.") from error
    if unzip.unconsumed_tail:
        raise ValueError("its planes are longer than its header says.")
    if not unzip.eof:
        raise ValueError("it is cut off, not written or sent to its end.")
    if unzip.unused_data:
        raise ValueError("something follows its end.")
    return rest


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"its header has no {error}."
    if isinstance(error, ValueError | InputError):
        return f"{error}"[:200]
    return "its header has another shape than a trace's."


# --- one track -----------------------------------------------------------------------------------


def _track_header(track: Track) -> dict[str, Any]:
    return {
        "seed": track.seed,
        "settings": track.settings.to_dict(),
        "ended": track.ended,
        "text": track.text,
        "steps_used": track.steps_used,
        "parent": track.parent,
        "block": track.block.tolist(),
        "step": track.step.tolist(),
        "temperature": [round(x, 6) for x in track.temperature.tolist()],
        "seconds": [round(x, 4) for x in track.seconds.tolist()],
        "canvas_ended": list(track.canvas_ended),
    }


def _planes(track: Track, ids: np.ndarray, index: np.dtype) -> Iterator[np.ndarray]:
    guessed = track.has_guess
    unsure = guessed[:, None] & (track.confidence < SURE)

    def indices(plane: np.ndarray) -> np.ndarray:
        return np.searchsorted(ids, plane).astype(index)

    yield indices(track.canvas_ids)
    yield indices(track.best_ids[guessed])
    yield track.confidence[guessed].astype("<f2")
    yield track.entropy[guessed].astype("<f2")
    yield track.accepted[guessed].astype(np.uint8)
    yield indices(track.top_ids[unsure])
    yield track.top_probs[unsure].astype("<f2")


class _Reader:
    """Takes arrays off the front of `data`; every length is checked before it is believed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if size > len(self._data) - self._at:
            raise ValueError("its planes are shorter than its header says.")
        array = np.frombuffer(self._data, dtype, size // np.dtype(dtype).itemsize, self._at)
        self._at += size
        return array.reshape(shape)

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("its planes are longer than its header says.")


def _trace(header: Mapping[str, Any], reader: _Reader) -> Trace:
    length = header["canvas_length"]
    ids = np.array([_whole(i, 0, 2**31 - 1, "a token id") for i in _list(header["ids"], 2**22)], np.int32)
    words = [_text(word, MAX_WORD) for word in _list(header["words"], 2**22)]
    if len(words) != len(ids) or (np.diff(ids) <= 0).any():
        raise ValueError("its words do not match its token ids.")
    index_bytes = _whole(header["index_bytes"], 1, 4, "index_bytes")
    heads = _list(header["tracks"], MAX_TRACKS)
    if not heads:
        raise ValueError("there is no draft in it.")
    tracks = tuple(_track(head, reader, ids, f"<u{index_bytes}", length, len(heads)) for head in heads)
    reader.end()
    model = dict(header["model"])
    return Trace(
        prompt=check_prompt(header["prompt"]),
        model=ModelFacts(
            rows=_whole(model["rows"], 1, 2**16, "rows"),
            **{name: _text(model[name], 1000) for name in ("name", "revision", "precision", "device")},
        ),
        canvas_length=length,
        eos_ids=tuple(_whole(i, 0, 2**31 - 1, "an end-of-text id") for i in _list(header["eos_ids"], 1000)),
        words=dict(zip(ids.tolist(), words, strict=True)),
        tracks=tracks,
    )


def _track(
    head: Mapping[str, Any], reader: _Reader, ids: np.ndarray, index: str, length: int, tracks: int
) -> Track:
    step = [_whole(s, 0, 2**31 - 1, "a step") for s in _list(head["step"], MAX_TRACK_CELLS)]
    frames = len(step)
    guessed = np.array(step, bool)
    count = int(guessed.sum())

    def indexed(shape: tuple[int, ...]) -> np.ndarray:
        indices = reader.take(shape, index)
        if indices.size and indices.max() >= len(ids):
            raise ValueError("a token has no word.")
        return ids[indices]

    def column(name: str, high: float) -> np.ndarray:
        values = np.array([_number(v, 0, high, name) for v in _list(head[name], frames)])
        if len(values) != frames:
            raise ValueError(f"{name} has {len(values)} entries for {frames} frames.")
        return values

    planes: dict[str, np.ndarray] = {"canvas_ids": indexed((frames, length))}
    for name, (dtype, per_rival) in PLANES.items():
        planes[name] = np.zeros((frames, length, RIVALS) if per_rival else (frames, length), dtype)
    planes["best_ids"][guessed] = indexed((count, length))
    planes["confidence"][guessed] = _within(reader.take((count, length), "<f2"), 1, "confidence")
    planes["entropy"][guessed] = _within(reader.take((count, length), "<f2"), 1000, "entropy")
    planes["accepted"][guessed] = _within(reader.take((count, length), "u1"), 1, "accepted")
    unsure = guessed[:, None] & (planes["confidence"] < SURE)
    # Where the rivals were not kept, the best token stands alone.
    planes["top_ids"][guessed] = planes["best_ids"][guessed][..., None]
    planes["top_probs"][guessed, :, 0] = planes["confidence"][guessed]
    planes["top_ids"][unsure] = indexed((int(unsure.sum()), RIVALS))
    planes["top_probs"][unsure] = _within(reader.take((int(unsure.sum()), RIVALS), "<f2"), 1, "rivals")
    return Track(
        seed=_whole(head["seed"], 0, MAX_SEED + 32, "seed"),
        settings=Settings.from_dict(head["settings"]),
        ended=_text(head["ended"], 20),
        text=_text(head["text"], 2**20),
        steps_used=_whole(head["steps_used"], 0, 2**31 - 1, "steps_used"),
        parent=None if head["parent"] is None else _whole(head["parent"], 0, tracks - 1, "parent"),
        block=column("block", MAX_BLOCKS - 1).astype(np.int32),
        step=np.array(step, np.int32),
        temperature=column("temperature", 5),
        seconds=column("seconds", 1e9),
        canvas_ended=tuple(_text(word, 20) for word in _list(head["canvas_ended"], frames)),
        **planes,
    )


# --- one value -----------------------------------------------------------------------------------


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"a list of at most {most} entries was expected.")
    return value


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"a text of at most {most} characters was expected.")
    return value


def _number(value: Any, low: float, high: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} is out of range.")
    return value


def _whole(value: Any, low: int, high: int, name: str) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{name} is not a whole number.")
    return int(_number(value, low, high, name))


def _within(plane: np.ndarray, high: float, name: str) -> np.ndarray:
    if not ((plane >= 0) & (plane <= high)).all():
        raise ValueError(f"{name} is out of range.")
    return plane
