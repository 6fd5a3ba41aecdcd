"""Muon: momentum steps made orthogonal, for the matrices of a network.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024
(https://kellerjordan.github.io/posts/muon/).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearly orthogonal matrices `[N, rows, columns]` by Newton-Schulz iteration in bf16."""
    x = matrices.to(torch.bfloat16)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):  # the quintic of the reference, tuned for speed rather than exactness
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """All matrices of one shape go through one batched Newton-Schulz iteration."""

    def __init__(
        self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        """Args: matrices or stacks of matrices; learning rate; Nesterov momentum; decay per lr."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step; a parameter without a gradient is left alone, its momentum kept."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            updates = self._updates(weights, group["momentum"])
            shapes: dict[tuple[int, int], list[int]] = defaultdict(list)
            for index, weight in enumerate(weights):
                shapes[tuple(weight.shape[-2:])].append(index)
            for (rows, columns), same in shapes.items():
                stacked = torch.cat([updates[index].view(-1, rows, columns) for index in same])
                stacked = orthogonalise(stacked) * max(1, rows / columns) ** 0.5
                parts = stacked.split([weights[index].numel() // (rows * columns) for index in same])
                for index, part in zip(same, parts, strict=True):
                    updates[index] = part.view_as(weights[index])
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(weights, updates, alpha=-group["lr"])

    def _updates(self, weights: list[Tensor], momentum: float) -> list[Tensor]:
        """The Nesterov updates; all weights at once, since a GPU waits for each call."""
        grads = [weight.grad for weight in weights if weight.grad is not None]
        for weight in weights:
            if "momentum" not in self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)
        moving = [self.state[weight]["momentum"] for weight in weights]
        torch._foreach_lerp_(moving, grads, 1 - momentum)
        return list(torch._foreach_lerp(grads, moving, momentum))
