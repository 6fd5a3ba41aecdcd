"""What must always be true of frames, tracks and recordings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from dgemma_play.recorder import Recorder
from dgemma_play.settings import Settings
from dgemma_play.trace import Frame, ModelFacts, RunFacts, Trace

C, EOS = 4, 9


def noise(draft: int = 0, block: int = 0) -> Frame:
    return Frame(draft=draft, block=block, step=0, temperature=0.8, ended="", canvas_ids=np.arange(C))


def guess(step: int, best: Sequence[int], *, draft: int = 0, block: int = 0, ended: str = "") -> Frame:
    return Frame(
        draft=draft,
        block=block,
        step=step,
        temperature=0.7,
        ended=ended,
        canvas_ids=np.array(best),
        best_ids=np.array(best),
        confidence=np.full(C, 0.5, np.float16),
        entropy=np.full(C, 0.1, np.float16),
        accepted=np.ones(C, bool),
        top_ids=np.tile(np.array(best)[:, None], (1, 5)),
        top_probs=np.full((C, 5), 0.1, np.float16),
    )


class NumberWords:
    """Token i is the word "i"."""

    def words(self, ids: Sequence[int]) -> list[str]:
        return [f" {i}" for i in ids]

    def text(self, ids: Sequence[int]) -> str:
        return " ".join(str(i) for i in ids if i != EOS)


class Scripted:
    """Frames written by hand, as a run."""

    def __init__(self, *frames: Frame, drafts: int = 1, tokens: int = C) -> None:
        self.facts = RunFacts(
            prompt=({"role": "user", "content": "p"},),
            model=ModelFacts("m", "", "fp32", "cpu", 8),
            settings=Settings(drafts=drafts, seed=40, max_new_tokens=tokens).resolve({}),
            canvas_length=C,
            eos_ids=(EOS,),
        )
        self.vocabulary: NumberWords = NumberWords()
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)


def test_a_frame_of_step_0_has_no_guess_rather_than_a_guess_of_zeros() -> None:
    assert noise().best_ids is None
    with pytest.raises(ValueError, match="step 0 has no best_ids"):
        Frame(
            draft=0, block=0, step=0, temperature=1, ended="", canvas_ids=np.arange(C), best_ids=np.arange(C)
        )


def test_frames_cannot_be_changed() -> None:
    ids = np.arange(C)
    frame = Frame(draft=0, block=0, step=0, temperature=1, ended="", canvas_ids=ids)
    with pytest.raises(ValueError, match="read-only"):
        frame.canvas_ids[0] = 7


def test_a_frame_refuses_another_shape_or_kind() -> None:
    with pytest.raises(ValueError, match="canvas_ids is int32"):
        Frame(draft=0, block=0, step=0, temperature=1, ended="", canvas_ids=np.ones(C))
    with pytest.raises(ValueError, match="best_ids has shape"):
        Frame(
            draft=0, block=0, step=1, temperature=1, ended="", canvas_ids=np.arange(C), best_ids=np.arange(3)
        )


def test_an_answer_ends_at_its_end_of_text() -> None:
    trace = Trace.record(Scripted(noise(), guess(1, [1, 2, EOS, 4], ended="stable")))
    assert trace.token_ids[0].tolist() == [1, 2, EOS]
    assert trace.texts == ["1 2"]
    assert trace.tracks[0].ended == "eos"


def test_an_answer_without_end_of_text_ends_by_length() -> None:
    trace = Trace.record(Scripted(noise(), guess(1, [1, 2, 3, 4], ended="steps")))
    assert trace.tracks[0].ended == "length"
    assert trace.texts == ["1 2 3 4"]


def test_steps_are_summed_over_blocks() -> None:
    frames = [noise(), guess(1, [1, 2, 3, 4]), guess(2, [1, 2, 3, 5], ended="stable")]
    frames += [noise(block=1), guess(1, [6, EOS, 0, 0], block=1, ended="stable")]
    trace = Trace.record(Scripted(*frames, tokens=8))
    assert trace.steps_used == [3]
    assert trace.texts == ["1 2 3 5 6"]
    assert [rows.start for rows in trace.tracks[0].blocks] == [0, 3]


def test_a_draft_cut_off_in_mid_run_keeps_what_it_had() -> None:
    trace = Trace.record(Scripted(noise(), guess(1, [1, 2, 3, 4]), noise(1), drafts=2))
    assert [track.ended for track in trace.tracks] == ["stopped", "stopped"]
    assert trace.texts == ["1 2 3 4", ""]
    assert trace.steps_used == [1, 0]


def test_a_draft_that_a_person_stopped_has_not_failed_where_the_run_breaks_later() -> None:
    recorder = Recorder(Scripted(drafts=2))
    stopped, broken = guess(1, [1, 2, 3, 4], ended="stopped"), guess(1, [5, 6, 7, 8], draft=1)
    for frame in (noise(), stopped, noise(1), broken):
        recorder.add(frame)
    assert [track.ended for track in recorder.trace(cut_off="failed").tracks] == ["stopped", "failed"]


def test_a_draft_cut_off_between_two_blocks_keeps_the_first() -> None:
    frames = [noise(), guess(1, [1, 2, 3, 4], ended="stable"), noise(block=1)]
    trace = Trace.record(Scripted(*frames, tokens=8))
    assert trace.tracks[0].ended == "stopped"
    assert trace.texts == ["1 2 3 4"]


def test_an_interruption_at_any_point_loses_no_frame_that_was_kept() -> None:
    class Interrupted(NumberWords):
        def words(self, ids: Sequence[int]) -> list[str]:
            if 7 in ids:
                raise KeyboardInterrupt
            return super().words(ids)

    run = Scripted(noise(), guess(1, [1, 2, 3, 4]), guess(2, [1, 2, 3, 7]))
    run.vocabulary = Interrupted()
    recorder = Recorder(run)
    with contextlib.suppress(KeyboardInterrupt):
        for frame in run:
            recorder.add(frame)
    assert recorder.trace().texts == ["1 2 3 4"]
    assert recorder.trace().steps_used == [1]


def test_the_end_of_text_is_no_text_whatever_the_tokenizer_calls_special() -> None:
    class EveryWord(NumberWords):
        def text(self, ids: Sequence[int]) -> str:
            return " ".join(map(str, ids))

    run = Scripted(noise(), guess(1, [1, 2, EOS, 4], ended="stable"))
    run.vocabulary = EveryWord()
    assert Trace.record(run).texts == ["1 2"]


def test_a_run_that_fails_says_so_of_the_drafts_it_cut_off() -> None:
    run = Scripted(noise(), guess(1, [1, 2, 3, 4], ended="steps"), noise(1), drafts=2)
    recorder = Recorder(run)
    for frame in run:
        recorder.add(frame)
    assert [track.ended for track in recorder.trace(cut_off="failed").tracks] == ["length", "failed"]


def test_a_frame_is_a_copy_of_what_it_was_made_from() -> None:
    ids = np.arange(C, dtype=np.int32)
    frame = Frame(draft=0, block=0, step=0, temperature=1, ended="", canvas_ids=ids)
    ids[0] = 99
    assert frame.canvas_ids[0] == 0


def test_a_draft_that_never_began_is_not_in_the_trace() -> None:
    assert Trace.record(Scripted(noise(), drafts=3)).seeds == [40]


def test_only_words_that_occur_are_kept() -> None:
    trace = Trace.record(Scripted(noise(), guess(1, [5, 6, 7, 8], ended="steps")))
    assert trace.words == {i: f" {i}" for i in [0, 1, 2, 3, 5, 6, 7, 8]}


def test_beyond_the_budget_the_noise_and_the_text_stay() -> None:
    run = Scripted(
        noise(), *(guess(step, [step] * C) for step in range(1, 9)), guess(9, [9] * C, ended="steps")
    )
    recorder = Recorder(run, max_cells=4 * C)
    for frame in run:
        recorder.add(frame)
    track = recorder.trace().tracks[0]
    assert track.step.tolist() == [0, 1, 2, 9]
    assert track.steps_used == 9


def test_a_track_gives_its_frames_back() -> None:
    frames = [noise(), guess(1, [1, 2, 3, 4]), guess(2, [1, 2, 3, 5], ended="stable")]
    track = Trace.record(Scripted(*frames)).tracks[0]
    for index, frame in enumerate(frames):
        again = track.frame(index)
        for name, value in vars(frame).items():
            assert np.array_equal(getattr(again, name), value) or getattr(again, name) == pytest.approx(value)


def test_frames_out_of_order_are_no_track() -> None:
    with pytest.raises(ValueError, match="in order"):
        Trace.record(Scripted(noise(), guess(2, [1] * C), guess(1, [1] * C)))
