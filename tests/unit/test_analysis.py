"""On hand-written tracks of three positions."""

from __future__ import annotations

import numpy as np

from dgemma_play import analysis


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
