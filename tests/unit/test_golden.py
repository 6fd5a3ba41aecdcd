"""The golden trace: a file written once, which every later version must read the same way."""

from __future__ import annotations

import json

from dgemma_play import codec
from tests.golden.make import EXPECTED, TRACE, expected


def test_the_golden_trace_reads_as_it_did_when_it_was_written() -> None:
    assert expected(codec.load(TRACE)) == json.loads(EXPECTED.read_text(encoding="ascii"))


def test_the_golden_trace_is_not_a_trivial_one() -> None:
    tracks = json.loads(EXPECTED.read_text(encoding="ascii"))["tracks"]

    assert any(any(track["revisions"]) for track in tracks)
    assert any(any(block) for track in tracks for block in track["lost"])
    assert max(track["block"][-1] for track in tracks) == 1
