"""Memory that runs out in a run: half the rows, the same texts, a note. And what a step holds at its peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from dgemma_play import InputError, Run, Settings, Start, Trace, denoise, sampler
from dgemma_play.denoiser import TransformersDenoiser
from dgemma_play.draft import Draft
from dgemma_play.trace import Frame
from tests.engine.memory import peak_bytes

FOX = "Write a short story about a fox."
SETTINGS = Settings(drafts=5, seed=3, steps=4, confidence_threshold=0, max_new_tokens=30)
Make = Callable[..., Any]


class Cramped(TransformersDenoiser):
    """Runs out of memory at the n-th call of a method, or whenever more than `most_rows` are asked of it.

    Inside, rows go through one by one, so that their number can't move a bit.
    """

    def __init__(self, model: Any, method: str = "", at: Sequence[int] = (), most_rows: int = 99) -> None:
        super().__init__(model)
        self._whole = TransformersDenoiser(model)
        self._method, self._at, self._most_rows = method, set(at), most_rows
        self._calls = 0

    def _room(self, method: str, rows: int = 0) -> None:
        if method != self._method:
            return
        self._calls += 1
        if self._calls in self._at or rows > self._most_rows:
            raise torch.OutOfMemoryError("CUDA out of memory. (scripted)")

    def encode(self, ids: Any) -> Any:
        self._room("encode")
        return super().encode(ids)

    def extend(self, contexts: Any, canvases: Any) -> Any:
        self._room("extend", len(contexts))
        rows = zip(contexts, canvases, strict=True)
        return [self._whole.extend([context], canvas[None])[0] for context, canvas in rows]

    def batch(self, contexts: Any) -> Any:
        self._room("batch", len(contexts))
        return list(contexts)

    def decode(self, context: Any, canvases: Any, soft: Any) -> Any:
        self._room("decode", len(canvases))
        rows = zip(context, canvases, soft, strict=True)
        return torch.cat([self._whole.decode(one, c[None], s[None]) for one, c, s in rows])

    def logits(self, hidden: Any) -> Any:
        self._room("logits")
        return super().logits(hidden)

    def soft_embedding(self, logits: Any) -> Any:
        self._room("soft_embedding")
        return super().soft_embedding(logits)


def run_with(loaded: Any, denoiser: Cramped, rows: int = 4) -> Run:
    run = denoise(loaded, FOX, SETTINGS, rows=rows)
    run._frames = run._denoise(denoiser, [6, 7, 8, 9])
    return run


def by_draft(frames: Sequence[Frame]) -> dict[int, list[tuple[Any, ...]]]:
    """Each draft's frames in their order, as comparable values."""
    ways: dict[int, list[tuple[Any, ...]]] = {}
    for frame in frames:
        planes = [None if frame.best_ids is None else plane.tobytes() for plane in _planes(frame)]
        ways.setdefault(frame.draft, []).append(
            (frame.block, frame.step, frame.temperature, frame.ended, frame.canvas_ids.tobytes(), *planes)
        )
    return ways


def _planes(frame: Frame) -> list[Any]:
    return [
        getattr(frame, name)
        for name in ("best_ids", "confidence", "entropy", "accepted", "top_ids", "top_probs")
    ]


@pytest.fixture
def cramped(random_loaded: Make) -> Any:
    """A small model that writes two canvases per draft."""
    loaded = random_loaded(torch.bfloat16)
    loaded.model.generation_config.eos_token_id = [1]
    torch.set_num_threads(1)
    return loaded


@pytest.mark.parametrize(
    ("method", "at", "rows_left"),
    [
        ("decode", [1], 2),
        ("decode", [4], 2),
        ("decode", [2, 3], 1),
        ("batch", [1], 2),
        ("logits", [1], 2),  # before any draft of the pass took its step
        ("logits", [7], 2),  # two have, one is struck before it draws
        ("soft_embedding", [3], 2),  # struck after it drew: the generator must go back
        ("soft_embedding", [10, 11], 1),
        ("extend", [1], 2),
    ],
)
def test_a_run_short_of_memory_goes_on_with_half_the_rows_and_writes_the_same(
    cramped: Any, method: str, at: list[int], rows_left: int
) -> None:
    expected = by_draft(list(run_with(cramped, Cramped(cramped.model), rows=1)))
    run = run_with(cramped, Cramped(cramped.model, method, at))
    trace = Trace.record(run)
    assert run.facts.model.rows == trace.model.rows == rows_left
    assert len(run.notes) == len(at)
    assert run.notes[0] == "Memory ran out with 4 drafts at once: this run goes on with 2, the others wait."
    again = by_draft(list(run_with(cramped, Cramped(cramped.model, method, at))))
    assert again == expected
    assert max(len(way) for way in expected.values()) > 5, "more than one canvas"


def test_rows_that_never_fit_are_halved_until_they_do(cramped: Any) -> None:
    run = run_with(cramped, Cramped(cramped.model, "decode", most_rows=1))
    expected = by_draft(list(run_with(cramped, Cramped(cramped.model), rows=1)))
    assert by_draft(list(run)) == expected
    assert run.facts.model.rows == 1


@pytest.mark.parametrize("method", ["encode", "decode", "logits", "extend"])
def test_a_run_too_large_for_one_draft_says_what_to_do(cramped: Any, method: str) -> None:
    run = run_with(cramped, Cramped(cramped.model, method, at=range(1, 99)), rows=2)
    with pytest.raises(InputError, match="even with one draft at a time: shorten the prompt"):
        list(run)


@pytest.mark.parametrize(
    "message",
    [
        "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: out of memory",
    ],
)
def test_memory_that_runs_out_beyond_the_allocator_counts_too(
    cramped: Any, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    decoder = cramped.model.model.decoder
    whole, calls = decoder.forward, []

    def forward(*arguments: Any, **names: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError(message)
        return whole(*arguments, **names)

    monkeypatch.setattr(decoder, "forward", forward)
    run = denoise(cramped, FOX, SETTINGS, rows=4)
    assert {track.ended for track in Trace.record(run).tracks} <= {"eos", "length"}
    assert run.facts.model.rows == 2


def test_another_error_is_no_want_of_memory(cramped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(cramped.model.model.decoder, "forward", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        list(denoise(cramped, FOX, SETTINGS, rows=4))


def test_a_step_that_fails_leaves_the_draft_as_it_was(cramped: Any) -> None:
    denoiser = Cramped(cramped.model, "soft_embedding", at=[1])
    draft = Draft(0, torch.Generator().manual_seed(1), context=None, start=Start())
    settings = SETTINGS.resolve(cramped.sampler_defaults)
    with torch.inference_mode():
        draft.begin(denoiser, settings, block=0)
        before, canvas = draft.generator.get_state(), draft.canvas
        hidden = torch.randn(16, 64).bfloat16()
        with pytest.raises(torch.OutOfMemoryError):
            draft.advance(denoiser, hidden, settings)
    assert torch.equal(draft.generator.get_state(), before)
    assert (draft.step, draft.canvas) == (0, canvas)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_holds_three_tensors_of_logits_at_most(random_loaded: Make, dtype: torch.dtype) -> None:
    denoiser = TransformersDenoiser(random_loaded(dtype, vocab_size=8000).model)
    hidden = torch.randn(256, 64, dtype=dtype)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        logits = denoiser.logits(hidden)
        sampler.decide(logits, entropy_bound=0.1, rivals=5, generator=generator)
        denoiser.soft_embedding(logits)

    with torch.inference_mode():
        assert peak_bytes(step) <= 3.1 * 4 * 256 * 8000


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_soft_embedding_made_in_parts_equals_transformers_bit_for_bit(
    random_loaded: Make, dtype: torch.dtype
) -> None:
    model = random_loaded(dtype).model
    embedding = model.model.decoder.embed_tokens
    logits = torch.randn(200, embedding.num_embeddings) * 8
    probs = logits.to(dtype).softmax(dim=-1, dtype=torch.float32).to(dtype)
    theirs = torch.matmul(probs[None], embedding.weight)[0] * embedding.embed_scale.to(dtype)
    with torch.inference_mode():
        assert torch.equal(TransformersDenoiser(model).soft_embedding(logits), theirs)
