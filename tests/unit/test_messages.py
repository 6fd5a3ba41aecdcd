"""What travels during a run: every frame as it was, every word once, and nothing that breaks a line."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from dgemma_play.messages import Failed, LiveEncoder, Queued, Running
from dgemma_play.trace import Frame, Trace
from tests.replayed import Replayed
from tests.synthetic import synthetic


def read(message: str) -> tuple[dict[str, Any], bytes]:
    line, _, planes = gzip.decompress(base64.b64decode(message)).partition(b"\n")
    return json.loads(line), planes


def decode(message: str, table: list[int], words: dict[int, str]) -> list[dict[str, Any]]:
    """The frames of a message, as a player reads it; `table` and `words` grow from message to message."""
    header, planes = read(message)
    table += header["ids"]
    words.update(zip(header["ids"], header["words"], strict=True))
    frames, at, length = [], 0, header["canvas_length"]
    for draft, block, step, temperature, ended in header["frames"]:
        index = f"<u{header['index_bytes']}"
        kinds = {
            "canvas_ids": index,
            "best_ids": index,
            "confidence": "<f2",
            "entropy": "<f2",
            "accepted": "u1",
        }
        frame: dict[str, Any] = {"draft": draft, "block": block, "step": step, "ended": ended}
        frame["temperature"] = temperature
        for name, kind in list(kinds.items())[: None if step else 1]:
            plane = np.frombuffer(planes, kind, length, at)
            at += plane.nbytes
            frame[name] = np.array(table)[plane] if name.endswith("_ids") else plane
        frames.append(frame)
    assert at == len(planes)
    return frames


def frames_of(trace: Trace) -> list[Frame]:
    return list(Replayed(trace))


def test_a_frame_arrives_as_it_was() -> None:
    trace = synthetic(drafts=2, canvas=16, steps=6)
    encoder, table, words = LiveEncoder("r", 16), list[int](), dict[int, str]()
    frames = frames_of(trace)
    received = [
        arrived
        for at in range(0, len(frames), 3)
        for arrived in decode(encoder.encode(frames[at : at + 3], trace.words), table, words)
    ]
    assert [(r["draft"], r["step"], r["ended"]) for r in received] == [
        (f.draft, f.step, f.ended) for f in frames
    ]
    for arrived, frame in zip(received, frames, strict=True):
        assert arrived["temperature"] == pytest.approx(frame.temperature)
        for name in ("canvas_ids", "best_ids", "confidence", "entropy", "accepted"):
            sent = getattr(frame, name)
            assert (name in arrived) == (sent is not None)
            if sent is not None:
                np.testing.assert_array_equal(arrived[name], sent)
    assert words.items() <= trace.words.items()


def test_the_noise_before_the_first_pass_has_a_canvas_and_nothing_else() -> None:
    trace = synthetic(drafts=1, canvas=16)
    header, planes = read(LiveEncoder("r", 16).encode(frames_of(trace)[:1], trace.words))
    assert len(planes) == 16 * header["index_bytes"]


def test_messages_are_numbered_and_a_word_travels_once() -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    encoder = LiveEncoder("r", 32)
    headers = [read(encoder.encode([frame], trace.words))[0] for frame in frames_of(trace)]
    assert [header["seq"] for header in headers] == list(range(len(headers)))
    met = [i for header in headers for i in header["ids"]]
    assert len(met) == len(set(met))


def test_a_message_says_how_many_words_came_before_it() -> None:
    trace = synthetic(drafts=2, canvas=32, steps=8)
    encoder, told = LiveEncoder("r", 32), 0
    for frame in frames_of(trace):
        header, _ = read(encoder.encode([frame], trace.words))
        assert header["known"] == told
        told += len(header["ids"])


def test_a_large_vocabulary_takes_wider_indices() -> None:
    ids = np.arange(70_000, dtype=np.int32) + 190_000
    encoder, table, words = LiveEncoder("r", 70_000), list[int](), dict[int, str]()
    few = Frame(draft=0, block=0, step=0, temperature=0.8, ended="", canvas_ids=np.full(70_000, 5, np.int32))
    many = Frame(draft=0, block=0, step=0, temperature=0.8, ended="", canvas_ids=ids)
    names: Mapping[int, str] = {5: "a"} | dict.fromkeys(ids.tolist(), "x")
    first, second = encoder.encode([few], names), encoder.encode([many], names)
    assert [read(message)[0]["index_bytes"] for message in (first, second)] == [2, 4]
    decode(first, table, words)
    np.testing.assert_array_equal(decode(second, table, words)[0]["canvas_ids"], ids)


def test_no_word_and_no_prompt_can_end_a_record() -> None:
    trace = synthetic(drafts=2, hostile=True)
    frames = Replayed(trace)
    records = [
        Running("r", frames.facts, {"name": "line\nbreak"}).record(),
        "m" + LiveEncoder("r", 64).encode(frames_of(trace), trace.words),
        Queued(2, 1.25).record(),
        Failed("\u2028</script>").record(),
    ]
    for record in records:
        assert record.isascii()
        assert "<" not in record
        assert record.splitlines() == [record]


def test_a_running_record_says_what_the_page_must_know_before_the_first_frame() -> None:
    frames = Replayed(synthetic(drafts=3))
    facts = json.loads(Running("r1", frames.facts, {"name": "tiny"}).record()[1:])
    assert facts["state"] == "running"
    assert facts["seeds"] == [40, 41, 42]
    assert facts["drafts"] == 3
    assert facts["prompt"] == "Write the opening of a story."
    assert facts["model"] == {"name": "tiny"}
    assert facts["steps"] == facts["settings"]["steps"]
