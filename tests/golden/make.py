"""Writes the golden trace and what every decoder must read in it: `python -m tests.golden.make`.

Run it only when the format changes: that the files in the repository stay readable is the point of the test.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dgemma_play import analysis, codec
from dgemma_play.trace import Trace, Track
from tests.synthetic import synthetic

HERE = Path(__file__).parent
TRACE, EXPECTED = HERE / "small.dgemma", HERE / "small.expected.json"


def expected(trace: Trace) -> dict[str, Any]:
    """A trace as plain JSON, and what the analysis finds in it."""
    return {
        "prompt": [dict(message) for message in trace.prompt],
        "canvas_length": trace.canvas_length,
        "eos_ids": list(trace.eos_ids),
        "words": {str(number): word for number, word in trace.words.items()},
        "tracks": [_track(track) for track in trace.tracks],
    }


def _track(track: Track) -> dict[str, Any]:
    guessed = track.has_guess
    planes = ("best_ids", "confidence", "entropy", "accepted", "top_ids", "top_probs")
    plain: dict[str, Any] = {
        "seed": track.seed,
        "ended": track.ended,
        "text": track.text,
        "steps_used": track.steps_used,
        "block": track.block.tolist(),
        "step": track.step.tolist(),
        "canvas_ended": list(track.canvas_ended),
        "canvas_ids": track.canvas_ids.tolist(),
    }
    for name in planes:
        plain[name] = [
            _plain(row) if guess else None for row, guess in zip(getattr(track, name), guessed, strict=True)
        ]
    plain |= {"settled": [], "revisions": [], "lost": []}
    for rows in track.blocks:
        passes = slice(rows.start + 1, rows.stop)
        best, kept = track.best_ids[passes], track.accepted[passes]
        plain["settled"] += analysis.settled_step(best).tolist()
        plain["revisions"] += analysis.revisions(track.canvas_ids[passes], kept, best[-1]).tolist()
        plain["lost"].append(np.argwhere(analysis.lost(kept)).tolist())
    return plain


def _plain(row: np.ndarray) -> list[Any]:
    return (row if row.dtype.kind == "i" else row.astype(float)).tolist()


def main() -> None:
    trace = synthetic(drafts=2, canvas=16, steps=6, blocks=2, hostile=True, seed=3)
    codec.save(trace, TRACE)
    EXPECTED.write_text(
        json.dumps(expected(codec.load(TRACE)), separators=(",", ":")) + "\n", encoding="ascii"
    )


if __name__ == "__main__":
    main()
