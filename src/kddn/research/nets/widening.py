"""Networks that do what smaller ones do, to train on from there."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kddn.research.nets.student import Student
from kddn.research.nets.unet import UNet, UNetConfig


def grow(trained: nn.Module, network: nn.Module) -> nn.Module:
    """A network of another's shape that does what a trained one does.

    Args:
        trained: The trained one.
        network: One of the shape that is asked for.

    Returns:
        The trained one itself, where it does not grow into that shape.
    """
    if isinstance(trained, Student) and isinstance(network, Student):
        return widen(trained, network.config.width) if _is_narrower(trained, network) else trained
    if isinstance(trained, UNet) and isinstance(network, UNet):
        return extend(trained, network.config)
    return trained


def widen(student: Student, width: int) -> Student:
    """A student of another width with the same output on every image, up to rounding.

    By Net2WiderNet (Chen, Goodfellow, Shlens, ICLR 2016): every channel is repeated, and what reads
    it reads a fraction of each copy. Fractions are drawn unevenly, so that copies learn different
    things.

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


def extend(network: UNet, config: UNetConfig) -> UNet:
    """A U that does the same with more outputs: lights as maps, or a scale for each colour.

    Where features are the same all over, both say the same; and so they do where nothing goes
    beyond black or white.

    Args:
        network: One with one light a picture or one scale for all colours.
        config: The same shape but for `lights`, as maps, `scales` and `within`.

    Returns:
        The network itself where the shapes differ in nothing, or in anything else.
    """
    old = network.config
    maps = old.lights == "picture" and config.lights == "maps"
    thrice = old.scales == 1 and config.scales == 3
    reached = replace(
        old,
        lights="maps" if maps else old.lights,
        scales=3 if thrice else old.scales,
        within=config.within,
    )
    if reached == old or reached != config:
        return network
    state = network.state_dict()
    if maps:
        weight = state.pop("lights.linear.weight")[:, :, None, None]
        state["lights.conv.weight"] = F.pad(weight, (1, 1, 1, 1))  # at the filter's centre
        state["lights.conv.bias"] = state.pop("lights.linear.bias")
    if thrice:
        state["scale.weight"] = state["scale.weight"].repeat(3, 1, 1, 1)
        state["scale.bias"] = state["scale.bias"].repeat(3)
    extended = UNet(config)
    extended.load_state_dict(state)
    return extended


def _is_narrower(student: Student, other: Student) -> bool:
    """Whether it is the same but for a width that goes into the other's."""
    width = other.config.width
    same_otherwise = replace(student.config, width=width) == other.config
    return same_otherwise and student.config.width < width and width % student.config.width == 0


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
