"""One denoising step's mathematics on the logits of one draft: cool, guess, accept, renoise, stop. Pure.

             canvas ──► model ──► logits
                                    │ / temperature_at(step)
                                    ▼
       ┌───────────────┬── cooled logits ──┬─────────────────┐
       ▼               ▼                   ▼                 ▼
    candidate      best guess           entropy      self-conditioning
    (sampled)      (argmax)                │          of the next pass
       │                                   ▼
       └──────────► accept ◄── sum of the k lowest entropies, less the k-th, ≤ entropy_bound
                      │
                      ▼
        next canvas: accepted positions keep their candidate, all others are fresh noise

The rules are the entropy-bound sampler of arXiv:2505.24857 as transformers runs it
(`EntropyBoundSampler`, `LinearTemperatureScheduleLogitsProcessor`, `StableAndConfidentStoppingCriteria`).
Given the same logits and generator every function equals transformers' bit for bit, hence the order of the
floating-point operations here is theirs and not the shortest.

Shapes: C positions, V tokens, K rivals.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

_DRAWN_AT_ONCE = 8  # positions: their float64 draws cost little memory beside the logits


@dataclass(frozen=True, eq=False)
class Step:
    """What one step decides for one draft.

    canvas [C] int64 the next canvas; best [C] int64 the argmax; confidence [C] float32 in 0–1; entropy [C]
    float32 in nats; accepted [C] bool; top_ids [C, K] int64 and top_probs [C, K] float32, best first.
    """

    canvas: Tensor
    best: Tensor
    confidence: Tensor
    entropy: Tensor
    accepted: Tensor
    top_ids: Tensor
    top_probs: Tensor


def temperature_at(step: int, steps: int, t_max: float, t_min: float) -> Tensor:
    """The temperature of pass `step` (1 … `steps`), 0-d float32: a line from `t_max` down to `t_min`.

    transformers counts the steps that remain, so its first pass is at `t_max` and its last stays
    (t_max − t_min) / steps above `t_min`.
    """
    remaining = torch.tensor(steps - step + 1, dtype=torch.int32)
    return t_min + (t_max - t_min) * (remaining / steps)


def noise(length: int, vocab_size: int, generator: torch.Generator) -> Tensor:
    """[C] int64: uniform over the whole vocabulary, special tokens included."""
    return torch.randint(vocab_size, (1, length), generator=generator, device=generator.device)[0]


def entropy(logits: Tensor) -> Tensor:
    """[C] float32, nats, of logits [C, V]; the operations of `torch.distributions.Categorical.entropy`."""
    log_probs = logits - logits.logsumexp(-1, keepdim=True)
    probs = torch.softmax(log_probs, -1)
    # In place: a [C, V] tensor is 268 MB in the released model.
    return -log_probs.clamp_(min=torch.finfo(logits.dtype).min).mul_(probs).sum(-1)


def sample(probs: Tensor, generator: torch.Generator) -> Tensor:
    """[C] int64: one draw per row of probs [C, V].

    The exponential race that `torch.multinomial` runs for one sample, without its checks: each of those
    would make a GPU wait for the host.
    """
    race = exponential(probs.shape, generator)  # row by row, as contiguous probs lie
    return torch.div(probs, race, out=race).argmax(-1)


def exponential(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """float32 [C, V], of the shape: the draws of `Tensor.exponential_(1)`, on a CPU in under half its time.

    There each draw is -log1p(-u) of one float64 u, logarithm by logarithm (since torch 2.5, which took
    MKL's generator out); here many logarithms are taken at once, which moves the last bit of one float64
    in twelve, and so of about one float32 in 6e9: a candidate changes only where two tie within that bit.
    """
    draws = torch.empty(shape, dtype=torch.float32, device=generator.device)
    if generator.device.type != "cpu":
        return draws.exponential_(1, generator=generator)
    for rows in draws.split(_DRAWN_AT_ONCE):
        rows.copy_(
            torch.empty_like(rows, dtype=torch.float64).uniform_(generator=generator).neg_().log1p_().neg_()
        )
    return draws


def pin(logits: Tensor, ids: Tensor, pinned: Tensor) -> None:
    """Make the `pinned` [C] positions of logits [C, V] certain of their token in `ids` [C], in place.

    A certain position is accepted in every step, keeps its token, and is certain in the fed-back guess.
    """
    logits[pinned] = torch.finfo(logits.dtype).min
    logits[pinned, ids[pinned]] = 0


def accept(entropies: Tensor, entropy_bound: float) -> Tensor:
    """[C] bool: the surest positions whose entropies, less the largest, sum to `entropy_bound` or less.

    That sum bounds their joint mutual information (arXiv:2505.24857), so they may be drawn independently.
    At least one position is always accepted.
    """
    ordered, positions = torch.sort(entropies[None], dim=-1)
    within = torch.cumsum(ordered, dim=-1) - ordered <= entropy_bound
    return torch.zeros_like(within).scatter(-1, positions, within)[0]


def decide(logits: Tensor, *, entropy_bound: float, rivals: int, generator: torch.Generator) -> Step:
    """The step that follows from cooled logits [C, V] float32.

    Draws from `generator` in transformers' order: the candidates, then the noise.
    """
    length, vocab_size = logits.shape
    best = logits.argmax(-1)
    entropies = entropy(logits)
    probs = torch.softmax(logits, dim=-1, dtype=torch.float32)
    candidate = sample(probs, generator)
    accepted = accept(entropies, entropy_bound)
    top_probs, top_ids = probs.topk(rivals)
    return Step(
        canvas=torch.where(accepted, candidate, noise(length, vocab_size, generator)),
        best=best,
        confidence=probs.gather(-1, best[:, None])[:, 0],
        entropy=entropies,
        accepted=accepted,
        top_ids=top_ids,
        top_probs=top_probs,
    )


class StopRule:
    """Says when a canvas may end early: its best guess held still, and its mean entropy is low.

    One per canvas. `confidence_threshold` 0 turns the rule off, `stability_threshold` 0 asks for low entropy
    alone.
    """

    def __init__(self, stability_threshold: int, confidence_threshold: float) -> None:
        self._stability_threshold = stability_threshold
        self._confidence_threshold = confidence_threshold
        self._history: deque[Tensor] = deque(maxlen=stability_threshold)

    def __call__(self, step: Step) -> Tensor:
        """0-d bool, on the step's device: no wait for the host here."""
        if not self._confidence_threshold:
            return torch.zeros((), dtype=torch.bool, device=step.best.device)
        held = [(earlier == step.best).all() for earlier in self._history]
        full = len(held) == self._stability_threshold
        calm = torch.mean(step.entropy[None], dim=-1)[0] < self._confidence_threshold
        stop = torch.stack([*held, calm]).all() if full else torch.zeros_like(calm)
        self._history.append(step.best)
        return stop
