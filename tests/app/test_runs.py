"""One run at a time: whose turn it is, what each visitor hears, and what is left when somebody leaves."""

from __future__ import annotations

import functools
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dgemma_play import codec
from dgemma_play.errors import BusyError, InputError
from dgemma_play.messages import Drafted, Ended, Failed, Note, Queued, Running, Update
from dgemma_play.runs import FAILED, Job, Runner
from dgemma_play.settings import Settings
from dgemma_play.trace import Frame
from tests.replayed import Breaking, Replayed
from tests.synthetic import synthetic
from tests.unit.test_messages import decode

TRACE = synthetic(drafts=2, canvas=16, steps=12)
PASSES = max(len(track.step) - 1 for track in TRACE.tracks)


class Counted(Replayed):
    """Recorded frames that tell `bench` while they are computed."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(TRACE, bench.gate if bench.gated else None)
        self.bench = bench

    def __iter__(self) -> Iterator[Frame]:
        self.bench.computing.add(self)
        self.bench.peak = max(self.bench.peak, len(self.bench.computing))
        try:
            yield from super().__iter__()
        finally:
            self.bench.computing.remove(self)


class Bench:
    """A runner on recorded frames; `gate` lets passes through one by one, `runs` were asked for.

    `peak` is the most runs that were ever computed at once.
    """

    def __init__(self, gated: bool = False, **options: Any) -> None:
        self.gate = threading.Semaphore(0)
        self.runs: list[Replayed] = []
        self.computing: set[Replayed] = set()
        self.peak = 0
        self.gated = gated
        self.runner = Runner(self.start, model={"name": "recorded"}, defaults={}, **options)

    def start(self, job: Job) -> Replayed:
        if job.prompt == "refused":
            raise InputError("The prompt is refused.")
        frames = Counted(self)
        self.runs.append(frames)
        return frames

    def live(self, visitor: str, prompt: str = "a fox") -> Iterator[Update]:
        return self.runner.live(visitor, prompt, Settings())

    def release(self, passes: int = 1000) -> None:
        self.gate.release(passes)


def wait_until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.002)


def test_a_run_is_told_from_its_start_to_its_trace() -> None:
    updates = list(Bench().live("ada"))
    assert isinstance(updates[0], Running)
    assert {type(update) for update in updates[1:-1]} == {Drafted}
    end = updates[-1]
    assert isinstance(end, Ended)
    assert not end.stopped
    assert end.trace.texts == [track.text for track in TRACE.tracks]


def test_the_first_frame_is_told_before_the_third_pass_is_computed() -> None:
    bench = Bench(gated=True)
    updates = bench.live("ada")
    assert isinstance(next(updates), Running)
    noise = next(updates)
    assert isinstance(noise, Drafted)
    table, words = list[int](), dict[int, str]()
    assert {frame["step"] for frame in decode(noise.message, table, words)} == {0}
    bench.release(1)
    first = next(updates)
    assert isinstance(first, Drafted)
    assert {frame["step"] for frame in decode(first.message, table, words)} == {1}
    assert bench.runs[0].passes <= 2
    bench.release()
    assert isinstance(list(updates)[-1], Ended)


def test_what_was_told_live_is_what_the_file_holds() -> None:
    table, words, live = list[int](), dict[int, str](), list[dict[str, Any]]()
    trace = None
    for update in Bench().live("ada"):
        if isinstance(update, Drafted):
            live += decode(update.message, table, words)
        elif isinstance(update, Ended):
            trace = codec.decode(codec.encode(update.trace))
    assert trace is not None
    assert len(live) == sum(len(track.step) for track in trace.tracks)
    for frame in live:
        track = trace.tracks[frame["draft"]]
        row = int(np.flatnonzero((track.step == frame["step"]) & (track.block == frame["block"]))[0])
        np.testing.assert_array_equal(frame["canvas_ids"], track.canvas_ids[row])
        if frame["step"]:
            np.testing.assert_array_equal(frame["best_ids"], track.best_ids[row])
            np.testing.assert_array_equal(frame["accepted"], track.accepted[row])
            np.testing.assert_array_equal(frame["confidence"], track.confidence[row])
    assert all(trace.words[i] == word for i, word in words.items() if i in trace.words)


def test_what_the_engine_has_to_say_is_told_once() -> None:
    bench = Bench(gated=True)
    updates = bench.live("ada")
    next(updates)
    vars(bench.runs[0])["notes"] = ["Memory ran out with 8 drafts at once: this run goes on with 4."]
    bench.release()
    told = [update.sentence for update in updates if isinstance(update, Note)]
    assert told == ["Memory ran out with 8 drafts at once: this run goes on with 4."]


def test_runs_take_turns_and_each_waiting_visitor_knows_its_place() -> None:
    bench = Bench(gated=True)
    first, second, third = bench.live("ada"), bench.live("bob"), bench.live("cleo")
    assert isinstance(next(first), Running)
    assert next(second) == Queued(1, None)
    assert next(third) == Queued(2, None)
    bench.release()
    assert isinstance(list(first)[-1], Ended)
    told = list(second)
    assert isinstance(told[-1], Ended)
    assert isinstance(next(update for update in told if not isinstance(update, Queued)), Running)
    assert isinstance(list(third)[-1], Ended)


def test_no_two_runs_are_ever_computed_at_once() -> None:
    bench = Bench(gated=True)
    readers = [bench.live(name) for name in ("ada", "bob", "cleo")]
    for reader in readers:
        next(reader)
    bench.release()
    for reader in readers:
        assert isinstance(list(reader)[-1], Ended)
    assert [run.passes for run in bench.runs] == [PASSES] * 3
    assert bench.peak == 1


def test_a_visitor_whose_turn_comes_while_it_leaves_keeps_it_until_its_run_has_ended() -> None:
    bench = Bench(gated=True)

    class Slow(threading.Condition):
        """Once armed, the first one who comes for the lock gets it when the second run has begun."""

        armed = False

        def __enter__(self) -> bool:
            if self.armed and threading.current_thread() is threading.main_thread():
                self.armed = False
                bench.release(PASSES)
                wait_until(lambda: bench.runs[1] in bench.computing)
            return super().__enter__()

    bench.runner._changed = changed = Slow()
    first, second, third = bench.live("ada"), bench.live("bob"), bench.live("cleo")
    for reader in (first, second, third):
        next(reader)
    vars(bench.runs[1])["stop"] = lambda draft: None  # its first pass takes long
    changed.armed = True
    second.close()  # pyright: ignore[reportAttributeAccessIssue]: it is a generator
    assert isinstance(next(third), Queued)
    bench.release()
    assert isinstance(list(third)[-1], Ended)
    assert bench.peak == 1


def test_the_expected_wait_is_what_runs_have_lately_taken() -> None:
    bench = Bench(gated=True)
    bench.release(PASSES)
    started = time.monotonic()
    list(bench.live("ada"))
    lasted = time.monotonic() - started
    bob, cleo = bench.live("bob"), bench.live("cleo")  # a reader that nobody holds would leave at once
    next(bob)
    waiting = next(cleo)
    assert isinstance(waiting, Queued)
    assert waiting.seconds is not None
    assert 0 <= waiting.seconds <= lasted
    bench.release()


def test_a_visitor_has_one_run_at_a_time() -> None:
    bench = Bench(gated=True)
    first = bench.live("ada")
    next(first)
    with pytest.raises(BusyError, match="You have a run already"):
        next(bench.live("ada"))
    bench.release()
    list(first)
    assert isinstance(list(bench.live("ada"))[-1], Ended)


def test_a_visitor_who_stopped_may_begin_again_at_once() -> None:
    bench = Bench(gated=True)
    first = bench.live("ada")
    next(first)
    bench.runner.stop("ada")
    again = bench.live("ada")
    next(again)
    bench.release()
    assert isinstance(list(again)[-1], Ended)


def test_a_full_line_says_so() -> None:
    bench = Bench(gated=True, places=2)
    readers = [bench.live("ada"), bench.live("bob")]
    for reader in readers:
        next(reader)
    with pytest.raises(BusyError, match="2 runs are waiting already: try again in a few minutes"):
        next(bench.live("cleo"))
    bench.release()


def test_a_refused_job_takes_no_place() -> None:
    bench = Bench(gated=True, places=1)
    with pytest.raises(InputError, match="refused"):
        next(bench.live("ada", "refused"))
    assert isinstance(next(bench.live("ada")), Running)
    bench.release()


def test_after_a_stop_no_pass_begins_and_every_pass_is_kept() -> None:
    bench = Bench(gated=True)
    updates = bench.live("ada")
    next(updates)
    bench.release(3)
    wait_until(lambda: bench.runs[0].passes == 4)  # the fourth has begun and waits at its gate
    bench.runner.stop("ada")
    bench.release()
    end = list(updates)[-1]
    assert isinstance(end, Ended)
    assert end.stopped
    assert bench.runs[0].passes == 4
    assert [track.steps_used for track in end.trace.tracks] == [4, 4]
    assert [track.ended for track in end.trace.tracks] == ["stopped", "stopped"]


def test_a_run_that_is_stopped_before_its_first_step_says_so() -> None:
    read = threading.Event()

    class Reading(Replayed):
        def __iter__(self) -> Iterator[Frame]:
            assert read.wait(5)  # the prompt is long
            yield from super().__iter__()

    runner = Runner(lambda job: Reading(TRACE), model={}, defaults={})
    updates = runner.live("ada", "a fox", Settings())
    next(updates)
    runner.stop("ada")
    read.set()
    [end] = updates
    assert isinstance(end, Failed)
    assert end.sentence == "The run was stopped before its first step; nothing was written."


def test_after_a_stop_the_models_decoder_is_not_called_again(loaded: Any) -> None:
    from dgemma_play import denoise

    runner = Runner(lambda job: denoise(loaded, job.prompt, job.settings), model={}, defaults={})
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            runner.stop("ada")

    handle = loaded.model.model.decoder.register_forward_pre_hook(count)
    try:
        end = list(runner.live("ada", "a fox", Settings(drafts=2, seed=1)))[-1]
    finally:
        handle.remove()
    assert calls == 3
    assert isinstance(end, Ended)
    assert end.stopped
    assert [track.steps_used for track in end.trace.tracks] == [3, 3]


def test_one_draft_stops_and_the_others_go_on() -> None:
    bench = Bench(gated=True)
    updates = bench.live("ada")
    next(updates)
    bench.release(2)
    wait_until(lambda: bench.runs[0].passes == 3)
    bench.runner.stop("ada", draft=1)
    bench.release()
    end = list(updates)[-1]
    assert isinstance(end, Ended)
    assert not end.stopped
    assert [track.ended for track in end.trace.tracks] == [TRACE.tracks[0].ended, "stopped"]


def test_stopping_reaches_nobody_else() -> None:
    bench = Bench(gated=True)
    updates = bench.live("ada")
    next(updates)
    bench.runner.stop("bob")
    bench.release()
    end = list(updates)[-1]
    assert isinstance(end, Ended)
    assert not end.stopped


def test_a_visitor_in_line_can_leave_it() -> None:
    bench = Bench(gated=True)
    first, second, third = bench.live("ada"), bench.live("bob"), bench.live("cleo")
    for reader in (first, second, third):
        next(reader)
    bench.runner.stop("bob")
    left = next(second)
    assert isinstance(left, Failed)
    assert "nothing was written" in left.sentence
    assert list(second) == []
    assert next(third) == Queued(1, None)
    bench.release()
    assert bench.runs[1].passes == 0


def test_a_visitor_who_leaves_frees_the_turn() -> None:
    bench = Bench(gated=True)
    first, second = bench.live("ada"), bench.live("bob")
    next(first)
    next(second)
    first.close()  # pyright: ignore[reportAttributeAccessIssue]: it is a generator
    bench.release(1)  # the pass that had begun
    assert bench.runs[0].closed.wait(5)
    assert bench.runs[0].passes <= 1, "none begins once the visitor is gone"
    bench.release()
    assert isinstance(list(second)[-1], Ended)


def test_a_visitor_who_never_reads_holds_nobody_up() -> None:
    bench = Bench()
    next(bench.live("ada"))
    assert isinstance(list(bench.live("bob"))[-1], Ended)


def test_a_run_over_its_time_is_stopped_and_kept() -> None:
    bench = Bench(gated=True)
    updates = bench.live("ada")
    next(updates)
    bench.release(3)
    wait_until(lambda: bench.runs[0].passes == 4)
    bench.runner._deadline = 0.0  # which the fourth pass is over when it ends
    bench.release()
    *_, end, note = updates
    assert isinstance(end, Ended)
    assert end.stopped
    assert bench.runs[0].passes == 4
    assert [track.steps_used for track in end.trace.tracks] == [4, 4]
    assert isinstance(note, Note)
    assert "limit" in note.sentence


def test_a_run_that_breaks_keeps_what_it_has_and_tells_no_details(caplog: pytest.LogCaptureFixture) -> None:
    runner = Runner(lambda job: Breaking(TRACE), model={}, defaults={})
    *_, end, failed = runner.live("ada", "a fox", Settings())
    assert isinstance(end, Ended)
    assert [track.steps_used for track in end.trace.tracks] == [2, 2]
    assert failed == Failed(FAILED, end.run)
    assert "/secret/path" in caplog.text
    assert isinstance(list(runner.live("bob", "a fox", Settings()))[-1], Failed)


def test_fast_frames_travel_together() -> None:
    trace = synthetic(drafts=4, canvas=16, steps=100, early=False)

    class Paced(Replayed):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                time.sleep(0.001)
                yield frame

    runner = Runner(lambda job: Paced(trace), model={}, defaults={})
    started = time.monotonic()
    messages = sum(isinstance(update, Drafted) for update in runner.live("ada", "a fox", Settings()))
    assert messages <= 20 * (time.monotonic() - started) + 2


def test_what_piles_up_becomes_the_newest_frames_of_each_block() -> None:
    trace = synthetic(drafts=2, canvas=4000, steps=30, blocks=2, early=False)

    class Whole(Replayed):
        def __iter__(self) -> Iterator[Frame]:
            for draft, track in enumerate(trace.tracks):
                yield from (track.frame(place, draft) for place in range(len(track.step)))
            self.closed.set()

    run = Whole(trace)
    updates = Runner(lambda job: run, model={}, defaults={}).live("ada", "a fox", Settings())
    next(updates)
    assert run.closed.wait(30)  # a reader that is away while everything is computed
    table, words = list[int](), dict[int, str]()
    message = next(updates)
    assert isinstance(message, Drafted)
    frames = decode(message.message, table, words)
    assert len(frames) <= 8
    newest = {(frame["block"], frame["draft"]): frame["step"] for frame in frames}
    assert newest == {(block, draft): 30 for block in range(2) for draft in range(2)}


def test_the_computing_function_may_run_elsewhere() -> None:
    def elsewhere(compute: Callable[[Job], Iterator[Frame]]) -> Callable[[Job], Iterator[Frame]]:
        @functools.wraps(compute)
        def pickled(job: Job) -> Iterator[Frame]:
            for frame in compute(pickle.loads(pickle.dumps(job))):
                yield pickle.loads(pickle.dumps(frame))

        return pickled

    bench = Bench(gated=True, gpu=elsewhere)
    updates = bench.live("ada")
    next(updates)
    bench.release(2)
    wait_until(lambda: bench.runs[-1].passes == 3)
    bench.runner.stop("ada")
    bench.release()
    end = list(updates)[-1]
    assert isinstance(end, Ended)
    assert end.stopped
    assert bench.runs[-1].passes == 3
    assert bench.runs[-1].closed.is_set()
