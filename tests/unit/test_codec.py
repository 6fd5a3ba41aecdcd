"""Trace files: nothing is lost on the way, and nothing that a stranger sends does harm."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dgemma_play import codec
from dgemma_play.errors import TraceError
from dgemma_play.trace import PLANES, Trace

from .test_trace import Scripted, guess, noise


@pytest.fixture
def small() -> Trace:
    """Two drafts of four positions; the second has two blocks."""
    first = [noise(), guess(1, [1, 2, 3, 70000]), guess(2, [1, 2, 9, 4], ended="stable")]
    second = [noise(1), guess(1, [1, 2, 3, 5], draft=1, ended="steps")]
    second += [noise(1, 1), guess(1, [9, 2, 3, 5], draft=1, block=1, ended="steps")]
    return Trace.record(Scripted(*first, *second, drafts=2, tokens=8))


def changed(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file with another header."""
    line, _, planes = gzip.decompress(data).partition(b"\n")
    header = json.loads(line)
    change(header)
    return gzip.compress(json.dumps(header).encode() + b"\n" + planes)


def same(a: Trace, b: Trace) -> bool:
    plain = ("prompt", "model", "canvas_length", "eos_ids", "words")
    tracks = ("seed", "settings", "ended", "text", "steps_used", "canvas_ended", "parent")
    return all(getattr(a, name) == getattr(b, name) for name in plain) and all(
        all(getattr(x, name) == getattr(y, name) for name in tracks)
        and all(
            np.array_equal(getattr(x, name), getattr(y, name)) for name in ("step", "block", "canvas_ids")
        )
        and all(np.array_equal(getattr(x, name), getattr(y, name)) for name in PLANES)
        and np.allclose(x.temperature, y.temperature, atol=1e-6)  # written with six digits
        and np.allclose(x.seconds, y.seconds, atol=1e-4)  # and with four
        for x, y in zip(a.tracks, b.tracks, strict=True)
    )


def test_a_trace_comes_back_whole(small: Trace, tmp_path: Path) -> None:
    small.save(tmp_path / "run.dgemma")
    again = Trace.load(tmp_path / "run.dgemma")
    assert same(small, again)
    assert codec.encode(again) == codec.encode(small)


def test_a_recorded_run_comes_back_but_for_the_rivals_of_sure_positions(trace: Trace) -> None:
    again = codec.decode(codec.encode(trace))
    for before, after in zip(trace.tracks, again.tracks, strict=True):
        unsure = before.confidence < codec.SURE
        assert np.array_equal(before.top_ids[unsure], after.top_ids[unsure])
        for name in PLANES:
            if name not in ("top_ids", "top_probs"):
                assert np.array_equal(getattr(before, name), getattr(after, name))


def test_ten_lines_of_plain_python_read_a_file(trace: Trace, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    lines = readme.split("<!-- reader -->\n```python\n")[1].split("```")[0]
    assert len([line for line in lines.splitlines() if line.strip()]) <= 10
    trace.save(tmp_path / "run.dgemma")
    scope: dict[str, Any] = {"path": tmp_path / "run.dgemma"}
    exec(lines.replace('"run.dgemma"', "path"), scope)
    first = trace.tracks[0]
    assert np.array_equal(scope["canvas"], first.canvas_ids)


def test_a_file_that_cannot_be_written_leaves_nothing_behind(small: Trace, tmp_path: Path) -> None:
    (tmp_path / "folder.dgemma").mkdir()
    places = [tmp_path / "missing" / "run.dgemma", tmp_path / "folder.dgemma", tmp_path / ("x" * 300)]
    for place in [*places, Path(__file__) / "run.dgemma", Path("/"), Path(), tmp_path / "a\0b"]:
        with pytest.raises(TraceError, match="could not be written"):
            small.save(place)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.dgemma"]


def test_hostile_words_survive_as_text(small: Trace) -> None:
    words = dict.fromkeys(small.words, "<img src=x onerror=alert(1)> ${1} {{x}} </script> \u202e \x00 \ud800")
    trace = Trace(**{**vars(small), "words": words})
    assert codec.decode(codec.encode(trace)).words == words


@pytest.mark.parametrize("keep", [0, 1, 10, 100, -1, -9])
def test_a_file_cut_off_is_refused(small: Trace, keep: int) -> None:
    with pytest.raises(TraceError, match=r"cut off|not a DGemma Play trace"):
        codec.decode(codec.encode(small)[:keep])


def test_a_flipped_bit_anywhere_is_refused_or_harmless(small: Trace) -> None:
    data = codec.encode(small)
    refused = 0
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << at % 8
        try:
            assert same(codec.decode(bytes(bad)), small)  # gzip's own header fields may differ
        except TraceError:
            refused += 1
    assert refused > 0.95 * len(data)


@pytest.mark.parametrize("text", [b"", b"[]\n", b"{}\n"])
def test_gzip_without_a_run_in_it_is_refused(text: bytes) -> None:
    with pytest.raises(TraceError):
        codec.decode(gzip.compress(text))


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04"])
def test_something_else_is_refused(data: bytes) -> None:
    with pytest.raises(TraceError):
        codec.decode(data)


def test_a_deeply_nested_header_is_refused() -> None:
    with pytest.raises(TraceError, match="not a DGemma Play trace"):
        codec.decode(gzip.compress(b"[" * 100_000))


def test_another_version_says_so(small: Trace) -> None:
    with pytest.raises(TraceError, match="of version 2, this program reads version 1"):
        codec.decode(changed(codec.encode(small), lambda header: header.update(version=2)))


def test_a_header_beyond_all_measure_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_HEADER_BYTES", 2**20)
    with pytest.raises(TraceError, match="not a DGemma Play trace"):
        codec.decode(gzip.compress(b'{"format":' + b" " * 2**21 + b'"x"}\n'))


def test_planes_beyond_what_the_header_says_are_not_unpacked(small: Trace) -> None:
    plain = gzip.decompress(codec.encode(small)) + bytes(2**26)
    tracemalloc.start()
    with pytest.raises(TraceError, match="longer than its header says"):
        codec.decode(gzip.compress(plain))
    assert tracemalloc.get_traced_memory()[1] < 2 * codec.MAX_HEADER_BYTES + 2**22
    tracemalloc.stop()


def test_a_file_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_FILE_BYTES", 2**20)
    with pytest.raises(TraceError, match="larger than 1 MiB"):
        codec.decode(bytes(2**20 + 1))


def test_a_file_without_a_draft_is_refused(small: Trace) -> None:
    header = json.loads(gzip.decompress(codec.encode(small)).partition(b"\n")[0]) | {"tracks": []}
    with pytest.raises(TraceError, match="there is no draft in it"):
        codec.decode(gzip.compress(json.dumps(header).encode() + b"\n"))


def test_what_could_not_be_read_again_is_not_written(small: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TraceError, match="none of its drafts began"):
        codec.encode(replace(small, tracks=()))
    longest = replace(small, words=dict.fromkeys(small.words, "\u202e" * 1000))
    size = len(gzip.decompress(codec.encode(longest)).partition(b"\n")[0]) + 1
    monkeypatch.setattr(codec, "MAX_HEADER_BYTES", size)
    assert codec.decode(codec.encode(longest)).words == longest.words
    monkeypatch.setattr(codec, "MAX_HEADER_BYTES", size - 1)
    with pytest.raises(TraceError, match="too large to be kept: its header would be over"):
        codec.encode(longest)


def set_track(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda header: header["tracks"][0].update({name: value})


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update(canvas_length=5),
        lambda header: header.update(canvas_length=0),
        lambda header: header.update(canvas_length=2**40),
        lambda header: header.update(canvas_length="4"),
        lambda header: header.update(index_bytes=3),
        lambda header: header.update(ids=header["ids"][::-1]),
        lambda header: header.update(ids=[-1, *header["ids"][1:]]),
        lambda header: header.update(ids=header["ids"][:3], words=header["words"][:3]),
        lambda header: header.update(words=header["words"][1:]),
        lambda header: header.update(words=["x" * 5000, *header["words"][1:]]),
        lambda header: header.update(words=[None, *header["words"][1:]]),
        lambda header: header.update(tracks={}),
        lambda header: header.update(tracks=[7]),
        lambda header: header.update(tracks=header["tracks"][:1]),
        lambda header: header.update(tracks=header["tracks"] * 2),
        lambda header: header.update(prompt=""),
        lambda header: header.update(prompt=[{"role": "user"}]),
        lambda header: header.update(model=[]),
        lambda header: header["model"].update(rows=0),
        lambda header: header.pop("eos_ids"),
        set_track("step", [0, 1]),
        set_track("step", [1, 2, 3]),
        set_track("step", [0, 2, 1]),
        set_track("step", [0] * 9000),
        set_track("step", [0, 1, -1]),
        set_track("block", [0, 0, 1]),
        set_track("block", [0, 0, 2**70]),
        lambda header: header["tracks"][1].update(block=[0, 0, 8192, 8192]),
        set_track("temperature", [0, 0, float("nan")]),
        set_track("seconds", [0, 0, -1]),
        set_track("seconds", [0, 0]),
        set_track("canvas_ended", ["", "", "maybe"]),
        set_track("ended", "somehow"),
        set_track("seed", -1),
        set_track("seed", True),
        set_track("parent", 7),
        set_track("text", None),
        set_track("settings", {"steps": 10**9}),
        set_track("settings", {"__class__": "x"}),
        set_track("settings", None),
    ],
)
def test_a_header_that_lies_is_refused_with_a_sentence(
    small: Trace, change: Callable[[dict[str, Any]], object]
) -> None:
    with pytest.raises(TraceError, match=r"^The trace file is damaged: .+") as refusal:
        codec.decode(changed(codec.encode(small), change))
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("value", [float("nan"), -1.0, 2.0])
def test_planes_out_of_range_are_refused(small: Trace, value: float) -> None:
    line, _, planes = gzip.decompress(codec.encode(small)).partition(b"\n")
    header = json.loads(line)
    start = (3 * 4 + 2 * 4) * header["index_bytes"]  # the first track's confidence follows canvas and best
    bad = planes[:start] + np.array(value, "<f2").tobytes() + planes[start + 2 :]
    with pytest.raises(TraceError, match="confidence is out of range"):
        codec.decode(gzip.compress(line + b"\n" + bad))
