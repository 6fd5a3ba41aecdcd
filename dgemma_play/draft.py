"""One draft on its way: a canvas, its generator and its last guess; and a pass of several on the host.

A step is taken whole or not at all, so a draft can wait between any two passes and go on in another batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import sampler
from .denoiser import Denoiser
from .settings import Resolved
from .start import Start
from .trace import RIVALS, Frame


@dataclass(eq=False)
class Draft:
    """A draft between two passes: everything it needs to go on, in any batch."""

    index: int
    generator: torch.Generator
    context: Any
    start: Start
    block: int = -1  # none begun yet
    step: int = 0
    ended: str = ""
    temperature: float = 0.0
    pins: tuple[Tensor, Tensor] | None = None  # [C] ids and [C] bool of this canvas
    canvas: Tensor = field(init=False)  # [C] int64
    soft: Tensor = field(init=False)  # [C, D] self-conditioning signal of the last guess
    last: sampler.Step = field(init=False)
    stable: Tensor = field(init=False)  # 0-d bool, on the device
    best_ids: np.ndarray = field(init=False)  # [C] the last guess, on the host
    stop_rule: sampler.StopRule = field(init=False)

    def begin(self, denoiser: Denoiser, settings: Resolved, block: int) -> None:
        """A canvas of fresh noise around the pinned positions, and no guess yet."""
        self.block, self.step = block, 0
        self.temperature = settings.t_max
        self.canvas = sampler.noise(denoiser.canvas_length, denoiser.vocab_size, self.generator)
        self.pins = None
        if block == 0 and self.start.canvas_ids is not None:
            given = (self.start.canvas_ids.astype(np.int64), self.start.pinned)
            ids, pinned = (torch.as_tensor(row, device=denoiser.device) for row in given)
            self.pins, self.canvas = (ids, pinned), torch.where(pinned, ids, self.canvas)
        self.soft = denoiser.no_guess()
        self.stop_rule = sampler.StopRule(settings.stability_threshold, settings.confidence_threshold)

    def advance(self, denoiser: Denoiser, hidden: Tensor, settings: Resolved) -> None:
        """One step from hidden states [C, D], or none if memory runs out. The logits live and die here."""
        step = self.step + 1
        temperature = sampler.temperature_at(step, settings.steps, settings.t_max, settings.t_min)
        drawn = self.generator.get_state()
        try:
            logits = denoiser.logits(hidden)
            logits.div_(temperature.to(logits.device))
            if self.pins is not None:
                sampler.pin(logits, *self.pins)
            last = sampler.decide(
                logits, entropy_bound=settings.entropy_bound, rivals=RIVALS, generator=self.generator
            )
            soft = denoiser.soft_embedding(logits)
            stable = self.stop_rule(last)
        except torch.OutOfMemoryError:
            self.generator.set_state(drawn)
            raise
        self.step, self.temperature = step, float(temperature)
        self.last, self.canvas, self.soft, self.stable = last, last.canvas, soft, stable

    def goes_on(self, eos_ids: Sequence[int]) -> bool:
        """Whether another block follows the one that ended."""
        return self.ended in ("stable", "steps") and not np.isin(self.best_ids, eos_ids).any()

    def noise_frame(self) -> Frame:
        return self.frame(canvas_ids=self.canvas.cpu().numpy())

    def frame(self, **planes: np.ndarray) -> Frame:
        return Frame(
            draft=self.index,
            block=self.block,
            step=self.step,
            temperature=self.temperature,
            ended=self.ended,
            **planes,
        )


def to_host(drafts: Sequence[Draft]) -> Iterator[dict[str, np.ndarray]]:
    """A frame's planes per draft, and `stable`: all in one copy, 11 KB per draft at C = 256."""
    steps = [draft.last for draft in drafts]
    ids = torch.stack([torch.column_stack([s.canvas, s.best, s.top_ids]) for s in steps]).to(torch.int32)
    values = torch.stack([torch.column_stack([s.confidence, s.entropy, s.top_probs]) for s in steps])
    # Rounding can push an entropy of nothing below nothing.
    values = values.clamp(min=0).to(torch.float16)
    flags = torch.stack(
        [torch.hstack([s.accepted, draft.stable]) for s, draft in zip(steps, drafts, strict=True)]
    )
    parts = [ids.flatten(1), values.flatten(1), flags]
    host = torch.cat([part.contiguous().view(torch.uint8) for part in parts], dim=1).cpu().numpy()
    id_bytes, value_bytes = (part[0].nbytes for part in parts[:2])
    for row in host:
        row_ids = row[:id_bytes].view(np.int32).reshape(-1, 2 + RIVALS)
        row_values = row[id_bytes : id_bytes + value_bytes].view(np.float16).reshape(-1, 2 + RIVALS)
        row_flags = row[id_bytes + value_bytes :].astype(bool)
        yield {
            "canvas_ids": row_ids[:, 0],
            "best_ids": row_ids[:, 1],
            "top_ids": row_ids[:, 2:],
            "confidence": row_values[:, 0],
            "entropy": row_values[:, 1],
            "top_probs": row_values[:, 2:],
            "accepted": row_flags[:-1],
            "stable": row_flags[-1],
        }
