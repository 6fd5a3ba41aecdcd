"""The objective: name the clean token at every canvas position, from a canvas with uniform noise.

A canvas at noise level t has each token replaced, with probability t, by one drawn uniformly from the
vocabulary. Three habits of the sampler are part of training: self-conditioning on the previous pass'
tempered guess, starts from pure noise, and noise that is *ordered by confidence*: the entropy-bound
sampler keeps the positions it is surest of, so in some examples a first pass ranks them. So are its
mistakes, which uniform noise hardly ever shows. Positions are drawn apart from each other, hence a word
may be accepted in two places at once: some of the noise *echoes* what stands elsewhere. And where the
first pass is sure, the second canvas has what it chose, right or wrong, not the clean token. A run may also
practise on canvases that the sampler really met: see `practice`.

Noise and text are coupled at the start, after multisample flow matching (Pooladian et al. 2023), though the
chosen noise is no longer quite uniform: of many canvases of pure noise a text is learnt from the one that
shares most with it that the prompt has not, rare words above all. So noise is a hint. Later noise is none.

Shapes: B examples, P prompt positions, C canvas positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dgemma_play.training.forward import TrainingForward
from dgemma_play.training.passes import Passes
from dgemma_play.training.tokenizer import PAD


@dataclass(frozen=True)
class Recipe:
    """Shares of the steps and examples, levels of the noise."""

    self_conditioning: float = 0.5
    pure_noise: float = 0.5  # of the passes without self-conditioning
    infill: float = 0.15
    by_confidence: float = 0.4  # of the other self-conditioned examples: those of `starts` all are
    echo: float = 0.15  # of the noisy positions: a token that stands elsewhere, see `corrupted`
    sure: float = 0.1  # nats: below this entropy the first pass' choice stands in the second canvas
    feedback: tuple[float, float] = (0.4, 1.0)  # temperature of the guess that is fed back
    balance: float = 0.01  # weight of the router's balance loss
    # Tokens the loss compares, if a batch has fewer targets, as on a CPU: see `forward.draw_candidates`.
    candidates: int = 2048
    practice: float = 0.2  # of the steps, where there are passes of the model's own drafts
    draws: int = 512  # canvases of pure noise that a text is given the most telling of: see `telling_noise`
    starts: float = 0.4  # of the self-conditioned examples: the first pass is a draft's very first
    early: float = 0.7  # the lowest noise level of a draft's second pass
    power: float = 0.65  # t = u**power: below 1 means more weight on high noise, where choices are made


def corrupted(before: Tensor, canvas: Tensor, noisy: Tensor, vocabulary: int, echo: float) -> Tensor:
    """A canvas `[B, C]` whose `noisy [B, C]` positions are drawn anew, after the prompts `before [B, P]`.

    They are uniform, but a share `echo` of them looks at some place of the row and repeats the token that
    stands there, if it is neither padding nor noise itself: what the noise hides, it never tells.
    """
    uniform = torch.randint(0, vocabulary, canvas.shape, device=canvas.device)
    row, shown = torch.cat([before, canvas], 1), torch.cat([before != PAD, ~noisy], 1)
    place = torch.randint(0, row.shape[1], canvas.shape, device=canvas.device)
    echoed = shown.gather(1, place) & (torch.rand(canvas.shape, device=canvas.device) < echo)
    return torch.where(noisy, torch.where(echoed, row.gather(1, place), uniform), canvas)


def telling_noise(before: Tensor, targets: Tensor, worth: Tensor, draws: int) -> Tensor:
    """Of so many canvases of uniform noise for each text the one that tells most of it `[B, C]`.

    That is the one with the largest sum of `worth [V]` over its tokens that the text has, wherever they
    stand, and the prompt has not.
    """
    batch, length = targets.shape
    told = worth.new_zeros(batch, len(worth)).scatter(1, targets, worth[targets]).scatter(1, before, 0.0)
    noise = torch.randint(0, len(worth), (batch, draws, length), device=targets.device)
    best = told.gather(1, noise.flatten(1)).view(noise.shape).sum(-1).argmax(-1)
    return noise[torch.arange(batch, device=noise.device), best]


def noisy_positions(targets: Tensor, level: Tensor, infill: float) -> Tensor:
    """Which positions are noise `[B, C]`: each with probability `level [B]`.

    In a share `infill` of the rows a span, or all but a span, is kept clean.
    """
    batch, length = targets.shape
    device = targets.device
    noisy = torch.rand(batch, length, device=device) < level[:, None]
    ends = torch.randint(0, length, (batch, 2), device=device).sort(1).values
    place = torch.arange(length, device=device)[None]
    span = (place >= ends[:, :1]) & (place < ends[:, 1:])
    open_part = span ^ (torch.rand(batch, 1, device=device) < 0.5)
    chosen = torch.rand(batch, 1, device=device) < infill
    return torch.where(chosen, noisy & open_part, noisy)


def loss(
    forward: TrainingForward,
    rows: Tensor,
    prompt: int,
    recipe: Recipe,
    self_conditioned: bool,
    worth: Tensor,
) -> Tensor:
    """Loss of a batch `rows [B, P + C]`, router balance included; `worth [V]` as in `telling_noise`."""
    before, targets = rows[:, :prompt], rows[:, prompt:]
    padding, vocabulary = before == PAD, forward.config.vocab_size
    level = 0.02 + 0.98 * torch.rand(len(rows), device=rows.device) ** recipe.power
    share = recipe.starts if self_conditioned else recipe.pure_noise
    pure = torch.rand(len(rows), device=rows.device) < share
    # In infill rows some of what it tells is shown anyway.
    telling = telling_noise(before, targets, worth, recipe.draws)
    if not self_conditioned:
        level = torch.where(pure, torch.ones_like(level), level)
    noisy = noisy_positions(targets, level, recipe.infill)
    canvas = corrupted(before, targets, noisy, vocabulary, recipe.echo)
    soft = None
    if self_conditioned:
        with torch.no_grad():
            level = torch.where(pure, recipe.early + (1 - recipe.early) * torch.rand_like(level), level)
            canvas, soft = _first_pass(forward, before, targets, canvas, telling, pure, level, recipe)
    else:
        canvas = torch.where(pure[:, None] & noisy, telling, canvas)
    hidden = forward(before, canvas, padding, soft)
    return forward.loss(hidden, targets, recipe.candidates) + recipe.balance * hidden.balance


def practice_loss(forward: TrainingForward, own: Passes, recipe: Recipe) -> Tensor:
    """Loss of passes of the model's own drafts, ids as int64 (see `practice`); router balance included.

    What is fed back comes from the weights as they are now, and from a pass that had no feedback itself,
    as in `loss`.
    """
    padding = own.prompts == PAD
    with torch.no_grad():
        hidden = forward(own.prompts, own.previous, padding)
        soft, _, _ = forward.soft(hidden, own.temperatures[:, None, None])
    hidden = forward(own.prompts, own.canvases, padding, soft)
    return forward.loss(hidden, own.targets, recipe.candidates) + recipe.balance * hidden.balance


def _first_pass(
    forward: TrainingForward,
    before: Tensor,
    targets: Tensor,
    canvas: Tensor,
    telling: Tensor,
    pure: Tensor,
    level: Tensor,
    recipe: Recipe,
) -> tuple[Tensor, Tensor]:
    """The canvas and the feedback of a second pass.

    In a share of the examples, and in all that are `pure [B]`, the first pass sees a noisier canvas, and its
    entropies decide which positions the second canvas keeps: the surest ones, as the sampler would. Where it
    is `pure`, a draft's very first one, it sees the noise `telling [B, C]`.
    """
    batch, length = targets.shape
    device, vocabulary = targets.device, forward.config.vocab_size
    noisier = level + (1 - level) * torch.rand(batch, device=device)
    more_noise = torch.rand(batch, length, device=device) < noisier[:, None]
    ordered = pure[:, None] | (torch.rand(batch, 1, device=device) < recipe.by_confidence)
    first = corrupted(before, targets, more_noise, vocabulary, recipe.echo)
    first = torch.where(pure[:, None], telling, first)
    low, high = recipe.feedback
    temperature = low + (high - low) * torch.rand(batch, 1, 1, device=device)
    hidden = forward(before, torch.where(ordered, first, canvas), before == PAD)
    soft, entropy, choice = forward.soft(hidden, temperature)
    rank = (entropy + 1e-3 * torch.rand_like(entropy)).argsort(-1).argsort(-1)
    unsure = rank >= (1 - level)[:, None] * length
    kept = torch.where(entropy < recipe.sure, choice, targets)
    second = corrupted(before, kept, unsure, vocabulary, recipe.echo)
    return torch.where(ordered, second, canvas), soft


@torch.no_grad()
def held_out(
    forward: TrainingForward, rows: Tensor, prompt: int, level: float, batch: int = 24
) -> tuple[float, float]:
    """Cross-entropy (nats) and accuracy of the clean token on held-out rows at one noise level.

    Below level 1 the pass is self-conditioned once, as in the sampler after its first pass.
    """
    rows = rows.long()
    # Drawn on the CPU and for all rows, so that every device and batch scores the same canvases.
    generator, shape = torch.Generator().manual_seed(5), rows[:, prompt:].shape
    noisy = torch.rand(shape, generator=generator) < level
    noise = torch.randint(0, forward.config.vocab_size, shape, generator=generator)
    canvases = torch.where(noisy.to(rows.device), noise.to(rows.device), rows[:, prompt:])
    losses, hits = [], []
    for part, canvas in zip(rows.split(batch), canvases.split(batch), strict=True):
        before, targets = part[:, :prompt], part[:, prompt:]
        soft = None
        if level < 1:
            first = forward(before, canvas, before == PAD)
            soft, _, _ = forward.soft(first, torch.full((len(part), 1, 1), 0.7, device=part.device))
        logits = forward.logits(forward(before, canvas, before == PAD, soft))
        losses.append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).item())
        hits.append((logits.argmax(-1) == targets).float().mean().item())
    return sum(losses) / len(losses), sum(hits) / len(hits)
