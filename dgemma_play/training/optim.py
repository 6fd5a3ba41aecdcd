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
            shapes: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes[tuple(weight.shape[-2:])].append(weight)
            for (rows, columns), weights in shapes.items():
                stacked = torch.cat([self._update(weight, group["momentum"]) for weight in weights])
                stacked = orthogonalise(stacked) * max(1, rows / columns) ** 0.5
                parts = stacked.split([weight.numel() // (rows * columns) for weight in weights])
                for weight, part in zip(weights, parts, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(part.view_as(weight), alpha=-group["lr"])

    def _update(self, weight: Tensor, momentum: float) -> Tensor:
        """The Nesterov update of one parameter as `[matrices, rows, columns]`."""
        assert weight.grad is not None
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(state["momentum"], momentum).view(-1, *weight.shape[-2:])
