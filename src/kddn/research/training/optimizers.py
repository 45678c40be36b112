"""Muon: steps along the nearest orthogonal matrix (Jordan et al., 2024), with AdamW for the rest.

A step changes what a layer does to its input by the same amount in every direction, where Adam's
changes most what has the largest gradients already. For networks of small matrices on a CPU, each
step then learns several times as much.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose iteration brings singular values to about 1, as in torch.optim.Muon."""

_ITERATIONS = 5


_LAST = 8
"""Outputs below which a layer counts as a network's last."""


def orthogonalize(matrices: Tensor) -> Tensor:
    """Matrices with the same singular vectors, and singular values between about 0.7 and 1.2.

    By Newton-Schulz iterations of a quintic; many matrices at once, which torch.optim.Muon does
    one by one.

    Args:
        matrices: `n rows columns`, any values; a matrix of zeros stays as it is.
    """
    a, b, c = _COEFFICIENTS
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x: Tensor = matrices if wide else matrices.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


class Muon(torch.optim.AdamW):
    """Muon on the weights of linear layers and convolutions, AdamW on everything else.

    A filter counts as a matrix of outputs by inputs times kernel. Depthwise filters, biases, norms
    and layers of fewer than 8 outputs, which are a network's last, are the rest. Gradients of
    matrices are used up by a step.

    Args:
        modules: What learns.
        lr: AdamW's learning rate.
        matrix_lr: Muon's: how far, as a spectral norm, a step takes a matrix, times
            `sqrt(max(1, rows / columns))`.
        momentum: Muon's, Nesterov's kind.
        weight_decay: Of both.
    """

    def __init__(
        self,
        modules: nn.Module,
        lr: float = 1e-3,
        matrix_lr: float = 0.02,
        *,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        matrices = {
            id(module.weight): module.weight
            for module in modules.modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
            and isinstance(module.weight, nn.Parameter)  # not made of others
            and getattr(module, "groups", 1) == 1
            and len(module.weight) >= _LAST
        }
        rest = [weight for weight in modules.parameters() if id(weight) not in matrices]
        groups = [
            {"params": list(matrices.values()), "lr": matrix_lr, "matrices": True},
            {"params": rest, "lr": lr, "matrices": False},
        ]
        super().__init__(
            [group for group in groups if group["params"]],
            weight_decay=weight_decay,
            foreach=True,
        )
        self.momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the weights by their gradients; gives back what the closure does."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["matrices"]:
                self._step_matrices(group)
        super().step()  # of those that still have a gradient
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight in group["params"]:
            if weight.grad is None:
                continue
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
                state["step"] = torch.zeros(())  # AdamW looks for it when it is loaded
            momentum = state["momentum"]
            momentum.lerp_(weight.grad, 1 - self.momentum)
            ahead = weight.grad.lerp(momentum, self.momentum).flatten(1)
            alike[tuple(ahead.shape)].append((weight, ahead))
            weight.grad = None
        for (rows, columns), pairs in alike.items():
            steps = orthogonalize(torch.stack([ahead for _, ahead in pairs]))
            rate = group["lr"] * max(1, rows / columns) ** 0.5
            for (weight, _), step in zip(pairs, steps, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(step.view(weight.shape), alpha=rate)
