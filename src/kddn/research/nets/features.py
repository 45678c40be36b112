"""Looking into any network: what its named modules put out while it runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from kddn.errors import ModelError


def run_tapped(
    network: nn.Module, x: Tensor, names: Sequence[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a network and also give the outputs of some of its modules.

    Args:
        network: Any network; nothing in it is changed.
        x: Its input.
        names: Dotted names of modules, as `named_modules()` has them.

    Returns:
        The network's output, and each module's output by name. A module that runs several times
        gives its last one.

    Raises:
        ModelError: If a name is no module's, or its module did not run, or what it put out was
            changed in place by the next.
    """
    with _kept(network, names) as features:
        output = network(x)
    return output, features


def tapped_features(network: nn.Module, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """As `run_tapped`, features alone: the network runs no further than until all have come.

    A module that runs several times gives its first output, or a later one.
    """
    with _kept(network, names, stop=True) as features, suppress(_AllSeenError):
        network(x)
    return features


class _AllSeenError(Exception):
    """Nothing more is wanted of a network that runs."""


@contextmanager
def _kept(
    network: nn.Module, names: Sequence[str], *, stop: bool = False
) -> Iterator[dict[str, Tensor]]:
    """While open, outputs of modules are kept by their names; all must have come at the end."""
    features: dict[str, Tensor] = {}
    versions: dict[str, int] = {}
    handles = []
    for name in names:

        def keep(module: nn.Module, inputs: object, output: Tensor, name: str = name) -> None:
            features[name] = output
            versions[name] = _version(output)
            if stop and len(features) == len(set(names)):
                raise _AllSeenError

        handles.append(find_module(network, name).register_forward_hook(keep))
    try:
        yield features
    finally:
        for handle in handles:
            handle.remove()
    if silent := [name for name in names if name not in features]:
        raise ModelError(f"{type(network).__name__} never runs its module {silent[0]!r}")
    if changed := [name for name in names if versions[name] != _version(features[name])]:
        raise ModelError(
            f"{type(network).__name__} changes what its module {changed[0]!r} puts out in place; "
            "name the module behind it, or have that one work on a copy"
        )


def _version(output: object) -> int:
    """How many times a tensor was changed in place, where PyTorch counts."""
    if not isinstance(output, Tensor) or output.is_inference():
        return 0
    return output._version


def feature_channels(network: nn.Module, names: Sequence[str]) -> list[int]:
    """How many channels the feature maps of some modules have, from a trial run on a black image.

    Raises:
        ModelError: If a name is no module's, or a module puts out no feature map.
    """
    training = network.training
    example = next(network.parameters(), torch.zeros(0)).new_zeros(1, 3, 64, 64)
    with torch.no_grad():
        features = tapped_features(network.eval(), example, names)
    network.train(training)
    for name in names:
        if not isinstance(features[name], Tensor) or features[name].ndim != 4:
            raise ModelError(
                f"{type(network).__name__}'s module {name!r} puts out no feature map b c h w"
            )
    return [features[name].shape[1] for name in names]


def find_module(network: nn.Module, name: str) -> nn.Module:
    """The module of a dotted name.

    Raises:
        ModelError: If there is none, with names that come close.
    """
    modules = dict(network.named_modules())
    if name not in modules:
        near = get_close_matches(name, modules, n=3) or [key for key in modules if key][:3]
        raise ModelError(
            f"{type(network).__name__} has no module {name!r}; it has {', '.join(near)}, ..."
        )
    module: nn.Module = modules[name]
    return module
