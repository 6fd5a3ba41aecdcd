"""What a track tells: arrays in, arrays out, and `changes` of a whole draft.

Shapes: F passes, C positions. The functions on arrays look at the passes of one block of one draft, in order
and without its frame of step 0; tokens are compared by id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .trace import Track


def settled_step(best_ids: np.ndarray) -> np.ndarray:
    """[C] int: the step from which a position's best token never changes again; best_ids is [F, C]."""
    changed = best_ids[1:] != best_ids[:-1]
    steps = np.arange(2, len(best_ids) + 1)
    return np.max(changed * steps[:, None], axis=0, initial=1)


def lost(accepted: np.ndarray) -> np.ndarray:
    """[F, C] bool: accepted at the pass before, given back to noise at this one; accepted is [F, C]."""
    given_back = np.zeros_like(accepted)
    given_back[1:] = accepted[:-1] & ~accepted[1:]
    return given_back


def revisions(canvas_ids: np.ndarray, accepted: np.ndarray, final_ids: np.ndarray) -> np.ndarray:
    """[C] int: how often a position was accepted with one token and later accepted or committed with another.

    `canvas_ids` and `accepted` are [F, C], `final_ids` [C] is the committed canvas.
    """
    held = np.full(final_ids.shape, -1)
    count = np.zeros(final_ids.shape, int)
    for ids, kept in [*zip(canvas_ids, accepted, strict=True), (final_ids, np.ones_like(accepted[0]))]:
        count += kept & (held >= 0) & (held != ids)
        held = np.where(kept, ids, held)
    return count


@dataclass(frozen=True)
class Changes:
    """What became of a draft's tokens on the way: how often one was revised, and how often one was lost.

    `settled` is the median step from which a token's best guess stood; `None` without a pass.
    """

    revisions: int
    lost: int
    settled: float | None


def changes(track: Track, length: int) -> Changes:
    """The changes at the first `length` positions of a draft: its tokens, not what follows its end."""
    blocks = []
    for rows in track.blocks:
        passes = slice(rows.start + 1, rows.stop)
        if passes.start == passes.stop:
            continue  # nothing but noise
        best, kept = track.best_ids[passes], track.accepted[passes]
        revised = revisions(track.canvas_ids[passes], kept, best[-1])
        settled = track.step[passes][settled_step(best) - 1]
        blocks.append(np.stack([revised, lost(kept).sum(axis=0), settled]))
    by_position = np.hstack([np.empty((3, 0), int), *blocks])[:, :length]
    return Changes(
        revisions=int(by_position[0].sum()),
        lost=int(by_position[1].sum()),
        settled=float(np.median(by_position[2])) if by_position.size else None,
    )
