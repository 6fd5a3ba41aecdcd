"""On hand-written tracks of three positions."""

from __future__ import annotations

import dataclasses

import numpy as np

from dgemma_play import analysis
from dgemma_play.analysis import Changes
from tests.synthetic import synthetic


def test_a_position_settles_at_the_step_after_which_its_best_token_never_changes() -> None:
    best = np.array([[1, 1, 1], [1, 2, 2], [1, 2, 1], [1, 2, 3]])
    assert analysis.settled_step(best).tolist() == [1, 2, 4]


def test_one_pass_settles_everything() -> None:
    assert analysis.settled_step(np.array([[5, 6, 7]])).tolist() == [1, 1, 1]


def test_lost_is_accepted_and_then_given_back() -> None:
    accepted = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]], bool)
    assert analysis.lost(accepted).astype(int).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_a_revision_is_another_token_where_one_was_accepted() -> None:
    canvas = np.array([[1, 2, 3], [9, 2, 4], [5, 2, 3]])
    accepted = np.array([[1, 1, 1], [0, 1, 1], [1, 1, 1]], bool)
    # 1 → noise → 5 is one revision, 2 stays, 3 → 4 → 3 is two.
    assert analysis.revisions(canvas, accepted, np.array([5, 2, 3])).tolist() == [1, 0, 2]


def test_committing_another_token_than_the_accepted_one_is_a_revision() -> None:
    canvas, accepted = np.array([[1, 2, 3]]), np.array([[1, 1, 0]], bool)
    assert analysis.revisions(canvas, accepted, np.array([1, 7, 8])).tolist() == [0, 1, 0]


def test_the_changes_of_a_draft_are_those_of_its_blocks_up_to_its_end() -> None:
    track = synthetic(drafts=1, canvas=64, steps=48, blocks=2, early=False).tracks[0]
    settled, revised, lost = [], [], []
    for rows in track.blocks:
        passes = slice(rows.start + 1, rows.stop)
        best, kept = track.best_ids[passes], track.accepted[passes]
        settled += analysis.settled_step(best).tolist()
        revised += analysis.revisions(track.canvas_ids[passes], kept, best[-1]).tolist()
        lost += analysis.lost(kept).sum(axis=0).tolist()
    assert sum(revised) > 0
    assert sum(lost) > 0
    for length in (128, 80):
        expected = Changes(sum(revised[:length]), sum(lost[:length]), float(np.median(settled[:length])))
        assert analysis.changes(track, length) == expected


def test_a_draft_of_nothing_but_noise_has_settled_nowhere() -> None:
    noise = synthetic(drafts=1, canvas=16, steps=8).tracks[0]
    only = {
        name: getattr(noise, name)[:1] for name in vars(noise) if isinstance(getattr(noise, name), np.ndarray)
    }
    track = dataclasses.replace(noise, canvas_ended=("",), steps_used=0, **only)
    assert analysis.changes(track, 16) == Changes(revisions=0, lost=0, settled=None)
