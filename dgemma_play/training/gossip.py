"""Gossip averaging: training processes that learn from each other without waiting for each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Gossip:
    """One shared row of all weights per process; `published` counts its publications."""

    def __init__(self, processes: int, size: int) -> None:
        """Make room for every process in shared memory."""
        self.rows = torch.zeros(processes, size).share_memory_()
        self.published = torch.zeros(processes, dtype=torch.int64).share_memory_()
        self._heard = 0  # this process' own: which publication of the other it has heard

    def publish(self, rank: int, weights: Sequence[Tensor]) -> None:
        """Write this process' weights into its row."""
        torch.cat([weight.detach().flatten().cpu() for weight in weights], out=self.rows[rank])
        self.published[rank] += 1

    @torch.no_grad()
    def approach(self, rank: int, weights: Sequence[Tensor]) -> None:
        """Move half-way to the next process' latest weights, if they are news.

        Hearing the same weights twice would only pull a fast process back to where a slow one was.
        """
        other = (rank + 1) % len(self.rows)
        if other == rank or self.published[other] == self._heard:
            return
        self._heard = int(self.published[other])
        parts = self.rows[other].split([weight.numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.lerp_(part.view_as(weight).to(weight.device), 0.5)
