"""One step's mathematics: by hand where the answer is known, else bit for bit against transformers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    EntropyBoundSampler,
    EntropyBoundSamplerConfig,
    LinearTemperatureScheduleLogitsProcessor,
    StableAndConfidentStoppingCriteria,
)

from dgemma_play import sampler

C, V = 24, 300


def random_logits(seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """[C, V], some positions sure and some not, as a model of `dtype` would give them."""
    generator = torch.Generator().manual_seed(seed)
    sharpness = torch.linspace(0.2, 12, C)[:, None]
    logits = torch.randn(C, V, generator=generator) * sharpness
    return (30 * torch.tanh(logits / 30)).to(dtype).float()


def step_of(best: list[int], entropy: float) -> sampler.Step:
    ids = torch.tensor(best)
    values = torch.full(ids.shape, entropy)
    top = ids[:, None].expand(-1, 5)
    return sampler.Step(ids, ids, values, values, ids > 0, top, top.float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(5))
def test_a_step_equals_transformers_bit_for_bit(seed: int, dtype: torch.dtype) -> None:
    steps, step, bound = 48, 1 + 10 * seed, 2.0 * (seed + 1)
    logits = random_logits(seed, dtype)
    remaining = torch.tensor(steps - step + 1, dtype=torch.int32)
    schedule: Any = LinearTemperatureScheduleLogitsProcessor(0.4, 0.8, steps)
    theirs = schedule(None, logits[None], remaining)
    torch.manual_seed(seed)
    probs = torch.softmax(theirs, dim=-1, dtype=torch.float32)
    candidate = torch.multinomial(probs.view(-1, V), num_samples=1).view(1, C)
    their_sampler: Any = EntropyBoundSampler(EntropyBoundSamplerConfig(bound), C, V, steps)
    accepted = their_sampler.accept_canvas(torch.zeros(1, C, dtype=torch.long), candidate, theirs, step)
    canvas = their_sampler.renoise_canvas(accepted, step)

    ours = logits / sampler.temperature_at(step, steps, t_max=0.8, t_min=0.4)
    decided = sampler.decide(
        ours, entropy_bound=bound, rivals=5, generator=torch.Generator().manual_seed(seed)
    )
    assert torch.equal(ours, theirs[0])
    assert torch.equal(decided.best, theirs[0].argmax(-1))
    assert torch.equal(decided.accepted, their_sampler.accepted_token_mask[0])
    assert torch.equal(decided.canvas, canvas[0])
    assert torch.equal(decided.entropy, torch.distributions.Categorical(logits=theirs).entropy()[0])


@pytest.mark.parametrize(("stability", "confidence"), [(0, 0.5), (1, 0.5), (2, 0.5), (1, 0.001), (3, 20.0)])
def test_the_stop_rule_equals_transformers_step_by_step(stability: int, confidence: float) -> None:
    theirs: Any = StableAndConfidentStoppingCriteria(stability, confidence)
    ours = sampler.StopRule(stability, confidence)
    for step in range(9):
        logits = random_logits(step // 3) * (4 if step > 3 else 1)
        decided = sampler.decide(
            logits.clone(), entropy_bound=0.1, rivals=5, generator=torch.Generator().manual_seed(step)
        )
        assert bool(ours(decided)) == bool(theirs(logits.argmax(-1)[None], logits[None])[0])


def test_the_schedule_runs_from_t_max_to_just_above_t_min() -> None:
    at = [float(sampler.temperature_at(step, 4, t_max=0.8, t_min=0.4)) for step in (1, 2, 3, 4)]
    assert at == pytest.approx([0.8, 0.7, 0.6, 0.5])


def test_equal_ends_are_a_constant_temperature() -> None:
    assert {float(sampler.temperature_at(s, 9, t_max=0.5, t_min=0.5)) for s in range(1, 10)} == {0.5}


def test_the_surest_positions_are_accepted_until_the_bound() -> None:
    entropies = torch.tensor([0.5, 0.125, 2.0, 0.25])
    assert sampler.accept(entropies, 0.375).tolist() == [True, True, False, True]
    assert sampler.accept(entropies, 0.374).tolist() == [False, True, False, True]


def test_at_least_one_position_is_accepted_however_unsure() -> None:
    assert sampler.accept(torch.tensor([7.0, 5.0, 6.0]), 1e-9).tolist() == [False, True, False]


def test_a_bound_reached_exactly_accepts() -> None:
    assert sampler.accept(torch.tensor([0.5, 0.5, 0.5]), 1.0).tolist() == [True, True, True]


def test_what_is_not_accepted_is_fresh_noise_over_the_whole_vocabulary() -> None:
    logits = torch.zeros(2000, 50)
    decided = sampler.decide(logits, entropy_bound=1e-9, rivals=5, generator=torch.Generator().manual_seed(0))
    assert int(decided.accepted.sum()) == 1
    assert decided.canvas.unique().tolist() == list(range(50))


def test_samples_follow_the_distribution() -> None:
    probs = torch.tensor([0.7, 0.2, 0.1]).expand(20_000, 3)
    drawn = sampler.sample(probs.clone(), torch.Generator().manual_seed(0)).bincount() / 20_000
    assert drawn.tolist() == pytest.approx([0.7, 0.2, 0.1], abs=0.015)  # over four standard errors


@pytest.mark.parametrize("rows", [1, 8, 13])
def test_exponential_draws_are_those_of_torch_and_leave_its_generator_alike(rows: int) -> None:
    ours, theirs = (torch.Generator().manual_seed(rows) for _ in "ab")
    drawn = sampler.exponential(torch.Size((rows, 6000)), ours)
    assert torch.equal(drawn, torch.empty(rows, 6000).exponential_(1, generator=theirs))
    assert torch.equal(ours.get_state(), theirs.get_state())


def test_a_confidence_threshold_of_nothing_never_stops() -> None:
    rule = sampler.StopRule(stability_threshold=0, confidence_threshold=0)
    assert not any(bool(rule(step_of([1, 2], 0.0))) for _ in range(5))


def test_a_draft_stops_once_its_best_guess_held_still_for_the_asked_steps() -> None:
    rule = sampler.StopRule(stability_threshold=2, confidence_threshold=1.0)
    guesses = [[1, 2], [1, 3], [1, 3], [1, 3], [1, 3]]
    assert [bool(rule(step_of(best, 0.1))) for best in guesses] == [False, False, False, True, True]


def test_a_draft_that_is_still_but_unsure_goes_on() -> None:
    rule = sampler.StopRule(stability_threshold=1, confidence_threshold=0.05)
    assert [bool(rule(step_of([1, 2], 0.1))) for _ in range(3)] == [False] * 3
