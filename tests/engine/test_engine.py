"""The three promises of exactness, what is counted rather than believed, and the loop on scripted logits."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers.models.diffusion_gemma.generation_diffusion_gemma import EntropyBoundSamplerConfig

from dgemma_play import InputError, Run, Settings, Start, Trace, denoise
from dgemma_play.denoiser import TransformersDenoiser
from dgemma_play.recorder import Recorder
from dgemma_play.tokens import encode_prompt
from dgemma_play.trace import ModelFacts, RunFacts
from tests.conftest import FOX
from tests.unit.test_trace import NumberWords

#: How far the logits (-30 to 30) of one pass move with the number of rows, as the engine's docstring states.
ROWS_BOUND = {torch.float32: 1e-4, torch.bfloat16: 0.5}
Make = Callable[..., Any]


# --- against generate() --------------------------------------------------------------------------


def generated(loaded: Any, prompt: str, settings: Settings, seed: int) -> tuple[list[int], int]:
    """The new tokens that transformers' generate() writes at batch 1, and the passes that it makes."""
    ids = torch.tensor([encode_prompt(loaded.tokenizer, ({"role": "user", "content": prompt},))]).to(
        loaded.device
    )
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1

    handle = loaded.model.model.decoder.register_forward_hook(count)
    torch.manual_seed(seed)
    options = {
        "max_denoising_steps": settings.steps,
        "t_max": settings.t_max,
        "t_min": settings.t_min,
        "stability_threshold": settings.stability_threshold,
        "confidence_threshold": settings.confidence_threshold or None,
        "max_new_tokens": settings.max_new_tokens,
    }
    if settings.entropy_bound is not None:
        options["sampler_config"] = EntropyBoundSamplerConfig(settings.entropy_bound)
    given = {name: value for name, value in options.items() if value is not None}
    written = loaded.model.generate(ids, **given).sequences[0, ids.shape[1] :]
    handle.remove()
    return written.tolist(), passes


def assert_equals_generate(loaded: Any, prompt: str, settings: Settings) -> Trace:
    trace = Trace.record(denoise(loaded, prompt, settings, rows=1))
    for ids, steps, seed in zip(trace.token_ids, trace.steps_used, trace.seeds, strict=True):
        written, passes = generated(loaded, prompt, settings, seed)
        assert ids.tolist() == written[: len(ids)]
        assert set(written[len(ids) :]) <= {0}  # pads
        assert steps == passes
    return trace


@pytest.mark.parametrize("precision", ["loaded", "loaded_bf16"])
@pytest.mark.parametrize("prompt", [FOX, "a haiku about rain"])
def test_draft_k_is_what_generate_writes_with_seed_plus_k(
    request: pytest.FixtureRequest, precision: str, prompt: str
) -> None:
    loaded = request.getfixturevalue(precision)
    trace = assert_equals_generate(loaded, prompt, Settings(drafts=4, seed=100, max_new_tokens=64))
    assert len(set(trace.steps_used)) > 1, "the drafts should stop at different steps"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_several_blocks_equal_generate_on_a_model_of_another_shape(
    random_loaded: Make, dtype: torch.dtype
) -> None:
    settings = Settings(
        drafts=5,
        seed=10,
        steps=12,
        t_max=0.9,
        t_min=0.2,
        entropy_bound=2.0,
        stability_threshold=0,
        confidence_threshold=0.5,
        max_new_tokens=60,
    )
    trace = assert_equals_generate(random_loaded(dtype), FOX, settings)
    assert {track.ended for track in trace.tracks} == {"eos", "length"}
    assert max(track.block.max() for track in trace.tracks) == 3, "four canvases of 16"
    assert len(set(trace.steps_used)) > 1, "the drafts should stop at different steps"


def test_without_stop_rule_every_draft_takes_all_its_steps(loaded: Any) -> None:
    settings = Settings(drafts=2, seed=5, steps=6, confidence_threshold=0)
    loaded_threshold = loaded.model.generation_config.confidence_threshold
    loaded.model.generation_config.confidence_threshold = 1e-9  # generate() has no way to say "off" here
    try:
        trace = assert_equals_generate(loaded, FOX, settings)
    finally:
        loaded.model.generation_config.confidence_threshold = loaded_threshold
    assert trace.steps_used == [6, 6]
    assert {track.canvas_ended[-1] for track in trace.tracks} == {"steps"}


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "dtype"), [("loaded", torch.float32), ("loaded_bf16", torch.bfloat16)])
def test_one_pass_of_many_rows_is_within_the_stated_bound_of_single_rows(
    request: pytest.FixtureRequest, random_loaded: Make, precision: str, dtype: torch.dtype
) -> None:
    for model in (request.getfixturevalue(precision).model, random_loaded(dtype).model):
        denoiser = TransformersDenoiser(model)
        generator = torch.Generator().manual_seed(0)
        canvases = torch.randint(300, (6, denoiser.canvas_length), generator=generator)
        with torch.inference_mode():
            context = denoiser.encode(torch.arange(6, 20))
            soft = torch.stack([denoiser.no_guess()] * 6)
            together = denoiser.decode(denoiser.batch([context] * 6), canvases, soft)
            for row in range(6):
                one = slice(row, row + 1)
                alone = denoiser.decode(denoiser.batch([context]), canvases[one], soft[one])
                apart = denoiser.logits(together[row]) - denoiser.logits(alone[0])
                assert float(apart.abs().max()) <= ROWS_BOUND[dtype]


def test_two_runs_of_one_model_in_two_threads_do_not_meet(loaded: Any) -> None:
    """Each thread waits inside the decoder for the other, so that their passes overlap."""
    settings = [Settings(drafts=1, seed=seed, steps=3, confidence_threshold=0) for seed in (1, 2)]
    alone = [Trace.record(denoise(loaded, FOX, each)).texts for each in settings]
    meeting = threading.Barrier(2)

    def meet(*_: object) -> None:
        meeting.wait(60)

    handle = loaded.model.model.decoder.embed_tokens.register_forward_pre_hook(meet)
    try:
        with ThreadPoolExecutor(2) as pool:
            runs = [
                pool.submit(lambda s: Trace.record(denoise(loaded, FOX, s)).texts, each) for each in settings
            ]
            together = [run.result() for run in runs]
    finally:
        handle.remove()
    assert together == alone


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_calls_are_counted(loaded: Any, rows: int) -> None:
    calls = {"encoder": 0, "decoder rows": 0}
    drafts_per_head: set[int] = set()

    def encoded(*_: object) -> None:
        calls["encoder"] += 1

    def decoded(_module: object, _args: object, kwargs: dict[str, Any]) -> None:
        calls["decoder rows"] += len(kwargs["decoder_input_ids"])

    handles = [
        loaded.model.model.encoder.register_forward_hook(encoded),
        loaded.model.model.decoder.register_forward_pre_hook(decoded, with_kwargs=True),
        loaded.model.lm_head.register_forward_pre_hook(lambda _, args: drafts_per_head.add(len(args[0]))),
    ]
    trace = Trace.record(denoise(loaded, FOX, Settings(drafts=8, seed=1), rows=rows))
    for handle in handles:
        handle.remove()
    assert calls == {"encoder": 1, "decoder rows": sum(trace.steps_used)}
    assert drafts_per_head == {1}, "the logits of two drafts never exist at once"


def test_each_further_block_is_one_encoder_call_for_all_rows(random_loaded: Make) -> None:
    loaded = random_loaded()
    loaded.model.generation_config.eos_token_id = None  # nothing ends early
    loaded.tokenizer.eos_token_id, eos = None, loaded.tokenizer.eos_token_id
    calls = 0

    def encoded(*_: object) -> None:
        nonlocal calls
        calls += 1

    loaded.model.model.encoder.register_forward_hook(encoded)
    try:
        Trace.record(denoise(loaded, FOX, Settings(drafts=4, steps=2, max_new_tokens=48), rows=4))
    finally:
        loaded.tokenizer.eos_token_id = eos
    assert calls == 3


def test_the_same_seed_and_rows_give_the_same_texts(loaded: Any) -> None:
    settings = Settings(drafts=5, seed=11)
    first, second = (Trace.record(denoise(loaded, FOX, settings, rows=3)) for _ in range(2))
    assert first.texts == second.texts
    assert len(set(first.texts)) > 1


# --- the loop, on scripted logits ----------------------------------------------------------------


class ScriptedDenoiser:
    """Sure of token 3, and still, from a given pass of each canvas on.

    `sure_after` says from which, draft by draft in the order in which they begin, over and over. The soft
    embedding carries what a scripted model has to know of a draft: the passes made, and which draft it is.
    """

    canvas_length, vocab_size, device = 4, 12, torch.device("cpu")

    def __init__(self, sure_after: Sequence[int], eos_in_block: int | None = None) -> None:
        self.sure_after = sure_after
        self.eos_in_block = eos_in_block
        self.calls: list[str] = []
        self.batches: list[int] = []
        self._begun = 0
        self._soft = torch.empty(0)

    def encode(self, ids: Tensor) -> int:
        self.calls.append("encode")
        return 0

    def extend(self, contexts: Sequence[int], canvases: Tensor) -> list[int]:
        self.calls.append("extend")
        return [context + 1 for context in contexts]

    def batch(self, contexts: Sequence[int]) -> list[int]:
        assert len(set(contexts)) == 1, "all rows read equally long contexts"
        return list(contexts)

    def decode(self, context: list[int], canvases: Tensor, soft: Tensor) -> Tensor:
        self.calls.append("decode")
        self.batches.append(len(canvases))
        blocks = torch.tensor(context)[:, None, None].expand(-1, self.canvas_length, 1)
        return torch.cat([soft, blocks], dim=2)

    def logits(self, hidden: Tensor) -> Tensor:
        passes, draft, block = hidden[0].int().tolist()
        self._soft = torch.tensor([passes + 1.0, draft]).expand(self.canvas_length, 2)
        logits = torch.zeros(self.canvas_length, self.vocab_size)
        if passes + 1 >= self.sure_after[draft % len(self.sure_after)]:
            logits[:, 3] = 30.0
            if block == self.eos_in_block:
                logits[2] = 0
                logits[2, 1] = 30.0
        return logits

    def soft_embedding(self, logits: Tensor) -> Tensor:
        return self._soft

    def no_guess(self) -> Tensor:
        self._begun += 1
        return torch.tensor([0.0, self._begun - 1]).expand(self.canvas_length, 2)


def scripted(denoiser: ScriptedDenoiser, rows: int = 8, **values: Any) -> Run:
    settings = Settings(**{"seed": 1, "max_new_tokens": 4, "steps": 9, **values}).resolve({})
    facts = RunFacts(
        prompt=({"role": "user", "content": "p"},),
        model=ModelFacts("scripted", "", "fp32", "cpu", rows),
        settings=settings,
        canvas_length=denoiser.canvas_length,
        eos_ids=(1,),
    )
    return Run(facts, [5], denoiser, NumberWords())


def test_a_canvas_begins_with_its_noise_and_no_guess() -> None:
    first, second, *_ = scripted(ScriptedDenoiser([2]), drafts=1)
    assert (first.step, first.best_ids) == (0, None)
    assert second.step == 1
    assert second.best_ids is not None


def test_a_stable_canvas_says_so_and_a_capped_one_does_not() -> None:
    stable = list(scripted(ScriptedDenoiser([2]), drafts=1))
    assert [frame.ended for frame in stable] == ["", "", "", "stable"]
    capped = list(scripted(ScriptedDenoiser([20]), drafts=1, steps=3))
    assert [frame.ended for frame in capped] == ["", "", "", "steps"]


def test_the_rule_met_at_the_last_step_counts_as_stable() -> None:
    frames = list(scripted(ScriptedDenoiser([2]), drafts=1, steps=3))
    assert frames[-1].ended == "stable"


def test_drafts_wait_for_a_free_row_and_then_take_it() -> None:
    denoiser = ScriptedDenoiser([2])
    frames = list(scripted(denoiser, rows=2, drafts=5))
    assert denoiser.batches == [2, 2, 2, 2, 2, 2, 1, 1, 1]
    assert [frame.draft for frame in frames if frame.step == 0] == [0, 1, 2, 3, 4]


def test_a_draft_that_ends_leaves_the_batch_at_once() -> None:
    denoiser = ScriptedDenoiser([1, 3, 5])
    trace = Trace.record(scripted(denoiser, drafts=3))
    assert trace.steps_used == [2, 4, 6]  # sure, and once more the same
    assert denoiser.batches == [3, 3, 2, 2, 1, 1]


def test_a_free_row_goes_to_the_next_draft_while_the_others_are_in_mid_canvas() -> None:
    denoiser = ScriptedDenoiser([1, 4, 1])
    trace = Trace.record(scripted(denoiser, rows=2, drafts=3))
    assert trace.steps_used == [2, 5, 2]
    assert denoiser.batches == [2, 2, 2, 2, 1]


def test_end_of_text_ends_a_draft_and_no_block_follows() -> None:
    trace = Trace.record(scripted(ScriptedDenoiser([1], eos_in_block=1), drafts=2, max_new_tokens=16))
    assert [track.ended for track in trace.tracks] == ["eos", "eos"]
    assert [ids.tolist() for ids in trace.token_ids] == [[3, 3, 3, 3, 3, 3, 1]] * 2


def test_blocks_go_in_lockstep() -> None:
    frames = list(scripted(ScriptedDenoiser([1]), rows=1, drafts=3, max_new_tokens=8))
    blocks = [frame.block for frame in frames]
    assert blocks == sorted(blocks)


def test_after_stop_no_pass_begins() -> None:
    denoiser = ScriptedDenoiser([20])
    run = scripted(denoiser, drafts=3)
    frames = []
    for frame in run:
        frames.append(frame)
        if frame.step == 2:
            run.stop()
    assert len(denoiser.batches) == 2
    assert {frame.step for frame in frames} == {0, 1, 2}


def test_one_draft_can_be_stopped_while_the_others_go_on() -> None:
    run = scripted(ScriptedDenoiser([20]), drafts=3, steps=5)
    frames = []
    for frame in run:
        frames.append(frame)
        if (frame.draft, frame.step) == (0, 2):
            run.stop(draft=1)
    last = {frame.draft: frame for frame in frames}
    assert [(last[k].step, last[k].ended) for k in range(3)] == [(5, "steps"), (2, "stopped"), (5, "steps")]


def test_a_draft_stopped_while_it_waits_leaves_its_noise_so_that_the_later_ones_keep_their_numbers() -> None:
    frames = []
    denoiser = ScriptedDenoiser([2])
    run = scripted(denoiser, rows=1, drafts=4)
    recorder = Recorder(run)
    for frame in run:
        run.stop(draft=1)
        run.stop(draft=2)
        recorder.add(frame)
        frames.append(frame)
    assert [(frame.step, frame.ended) for frame in frames if frame.draft in (1, 2)] == [(0, "stopped")] * 2
    trace = recorder.trace(cut_off="failed")
    assert trace.seeds == [1, 2, 3, 4]
    assert trace.steps_used == [3, 0, 0, 3]
    assert [track.ended for track in trace.tracks] == ["length", "stopped", "stopped", "length"]
    assert len(denoiser.batches) == 6


def test_a_stop_of_all_leaves_out_the_drafts_that_never_began() -> None:
    run = scripted(ScriptedDenoiser([2]), rows=1, drafts=4)
    run.stop(draft=2)
    seen = []
    for frame in run:
        seen.append(frame.draft)
        if frame.draft == 1:
            run.stop()
    assert set(seen) == {0, 1}
    assert seen.count(1) == 1


def test_a_draft_stopped_between_two_blocks_ends_with_the_first() -> None:
    run = scripted(ScriptedDenoiser([2]), rows=1, drafts=3, max_new_tokens=8)
    frames = []
    for frame in run:
        if frame.block == 1:
            run.stop(draft=2)
        frames.append(frame)
    assert {frame.block for frame in frames if frame.draft == 2} == {0}
    assert {frame.block for frame in frames if frame.draft == 1} == {0, 1}


def test_a_stop_between_two_blocks_reads_and_writes_no_further() -> None:
    denoiser = ScriptedDenoiser([1])
    frames = []
    for frame in (run := scripted(denoiser, drafts=2, max_new_tokens=8)):
        frames.append(frame)
        if frame.ended:
            run.stop()
    assert {frame.block for frame in frames} == {0}
    assert len(denoiser.batches) == 2


def test_a_closed_run_yields_nothing_more() -> None:
    run = scripted(ScriptedDenoiser([20]), drafts=2)
    next(run)
    run.close()
    assert list(run) == []


def test_nothing_is_computed_before_the_first_frame_is_asked_for() -> None:
    denoiser = ScriptedDenoiser([2])
    scripted(denoiser)
    assert denoiser.calls == []


# --- frames --------------------------------------------------------------------------------------


def test_a_frame_tells_the_truth_about_its_distribution(trace: Trace) -> None:
    for track in trace.tracks:
        seen = track.has_guess
        assert np.array_equal(track.top_ids[seen][..., 0], track.best_ids[seen])
        assert np.array_equal(track.top_probs[seen][..., 0], track.confidence[seen])
        assert (np.diff(track.top_probs[seen].astype(float), axis=-1) <= 0).all()
        assert (track.top_probs[seen].astype(float).sum(-1) <= 1.01).all()
        assert track.accepted[seen].any(axis=-1).all(), "at least one position is always accepted"


def test_a_frame_crosses_a_process_border(loaded: Any) -> None:
    run = denoise(loaded, FOX, Settings(drafts=1, steps=1))
    frames: list[Any] = list(run)
    again = pickle.loads(pickle.dumps(frames))
    assert not again[1].top_ids.flags.writeable
    assert again[1].top_ids.tolist() == frames[1].top_ids.tolist()


def test_what_a_step_records_is_about_eleven_kilobytes_per_draft_at_256_positions(loaded: Any) -> None:
    *_, frame = denoise(loaded, FOX, Settings(drafts=1, steps=1))
    planes = [value for value in vars(frame).values() if isinstance(value, np.ndarray)]
    assert sum(plane.nbytes for plane in planes) / len(frame.canvas_ids) * 256 == 11008


# --- bad input -----------------------------------------------------------------------------------


def test_a_prompt_that_does_not_fit_the_context_is_refused_with_the_numbers(loaded: Any) -> None:
    with pytest.raises(InputError, match=r"The prompt has \d+ tokens .* context of \d+\. Shorten"):
        denoise(loaded, "fox " * 5000)


@pytest.mark.parametrize("rows", [0, -1, True, 2.5, "2"])
def test_rows_are_checked(loaded: Any, rows: Any) -> None:
    with pytest.raises(InputError, match="rows must be a whole number from 1"):
        denoise(loaded, FOX, rows=rows)


@pytest.mark.parametrize("prompt", ["", "  ", None, [], "\ud800"])
def test_input_is_refused_at_the_call_not_at_the_first_frame(loaded: Any, prompt: Any) -> None:
    with pytest.raises(InputError):
        denoise(loaded, prompt)


def test_chat_messages_are_a_prompt_too(loaded: Any) -> None:
    settings = Settings(drafts=1, seed=3, steps=4)
    as_text, as_chat = (
        Trace.record(denoise(loaded, prompt, settings))
        for prompt in (FOX, [{"role": "user", "content": FOX}])
    )
    assert as_text.texts == as_chat.texts


BAD_STARTS: list[dict[str, Any]] = [
    {"canvas_ids": "text"},
    {"canvas_ids": np.ones((2, 3), int)},
    {"canvas_ids": np.ones(3)},
    {"pinned": np.ones(3, bool)},
    {"canvas_ids": np.ones(3, int), "pinned": np.ones(4, bool)},
    {"canvas_ids": np.ones(3, int), "pinned": np.ones(3, int)},
    {"step": -1},
    {"step": 1.5},
    {"step": True},
    {"settings": {"steps": 3}},
    {"seed": -1},
]


@pytest.mark.parametrize("values", BAD_STARTS)
def test_a_start_refuses_what_no_draft_can_begin_from(values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Start(**values)


@pytest.fixture(scope="module")
def infilled(loaded: Any) -> tuple[np.ndarray, np.ndarray, Trace]:
    """What stands on a canvas, where it is pinned, and four drafts around it."""
    ids = np.arange(40, 40 + loaded.canvas_length)
    pinned = np.arange(loaded.canvas_length) % 4 == 1
    settings = Settings(drafts=4, seed=3, steps=6, confidence_threshold=0)
    starts = [Start(ids, pinned), Start(), Start(ids, pinned), Start(ids, np.zeros_like(pinned))]
    return ids, pinned, Trace.record(denoise(loaded, "a haiku about rain", settings, starts, rows=2))


def test_pinned_positions_hold_their_tokens_from_the_noise_to_the_text(
    infilled: tuple[np.ndarray, np.ndarray, Trace],
) -> None:
    ids, pinned, trace = infilled
    for track in (trace.tracks[0], trace.tracks[2]):
        first = track.block == 0
        assert (track.canvas_ids[first][:, pinned] == ids[pinned]).all()
        assert (track.best_ids[first & (track.step > 0)][:, pinned] == ids[pinned]).all()
        assert (track.canvas_ids[0][~pinned] != ids[~pinned]).any()


def test_a_start_without_pins_is_a_draft_from_noise(
    loaded: Any, infilled: tuple[np.ndarray, np.ndarray, Trace]
) -> None:
    *_, trace = infilled
    settings = Settings(drafts=4, seed=3, steps=6, confidence_threshold=0)
    plain = Trace.record(denoise(loaded, "a haiku about rain", settings, rows=2))
    for index in (1, 3):
        assert (plain.tracks[index].canvas_ids[0] == trace.tracks[index].canvas_ids[0]).all()


@pytest.mark.parametrize(
    ("starts", "sentence"),
    [
        ([Start()], "starts must hold one for each of the 2 drafts, got 1"),
        ([None, Start()], "starts must hold Start objects, got NoneType"),
        ([Start(), Start(step=3)], "A start can pin positions"),
        ([Start(), Start(seed=3)], "A start can pin positions"),
        ([Start(), Start(np.zeros(64, int))], "must say which of them are pinned"),
        ([Start(), Start(np.zeros(9, int), np.ones(9, bool))], "must hold 64 token ids, got 9"),
        ([Start(), Start(np.full(64, 10**6), np.ones(64, bool))], "the size of the vocabulary"),
    ],
)
def test_starts_that_do_not_fit_the_run_are_refused(loaded: Any, starts: list[Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        denoise(loaded, "hello", Settings(drafts=2), starts)


def test_a_start_is_pure_noise_by_default() -> None:
    start = Start()
    assert (start.canvas_ids, start.pinned, start.step) == (None, None, 0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
