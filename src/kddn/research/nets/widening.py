"""A wider student that does just what a narrower one does, to train on from there.

Net2WiderNet (Chen, Goodfellow, Shlens, ICLR 2016): every channel is repeated, and what reads it
reads a fraction of each copy. Fractions are drawn unevenly, so that copies learn different things.
"""

from dataclasses import replace

import torch
from torch import Tensor

from kddn.research.nets.student import Student


def widen(student: Student, width: int) -> Student:
    """A student of another width with the same output on every image, up to rounding.

    Args:
        student: The narrower one.
        width: A multiple of its width.

    Raises:
        ValueError: If it is no multiple.
    """
    copies, rest = divmod(width, student.config.width)
    if rest or not copies:
        raise ValueError(f"a width of {student.config.width} widens to its multiples, not {width}")
    wide = Student(replace(student.config, width=width))
    state = {
        name: _widen(student.state_dict()[name], target.shape)
        for name, target in wide.state_dict().items()
    }
    wide.load_state_dict(state)
    return wide


def _widen(weights: Tensor, shape: torch.Size) -> Tensor:
    """Repeat outputs (the first axis) and divide inputs (the second), where `shape` has more."""
    outputs = shape[0] // weights.shape[0]
    weights = weights.repeat_interleave(outputs, 0)
    if weights.ndim == 1 or shape[1] == weights.shape[1]:
        return weights
    inputs = shape[1] // weights.shape[1]
    fractions = 0.5 + torch.rand(*weights.shape[:2], inputs)
    fractions = (fractions / fractions.sum(-1, keepdim=True)).flatten(1)  # outputs inputs
    fractions = fractions.view(*fractions.shape, *[1] * (weights.ndim - 2))
    return weights.repeat_interleave(inputs, 1) * fractions
