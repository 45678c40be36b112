"""The networks that can be asked for: each is said once, beside its class.

A network's file calls `register` with the name that files of its weights carry, its configuration
and its presets. Training, checkpoints, export and evaluation ask here.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

from torch import nn

from kddn.errors import ModelError

Role = Literal["teacher", "student"]
"""What a network does: reconstruct clean images, or remove haze."""

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Architecture:
    """A kind of network."""

    name: str
    """What files of weights call it."""
    role: Role
    network: Callable[..., nn.Module]
    """Its class, made from a configuration, which its instances have as `config`."""
    config: Callable[..., Any] | None
    """The class of its configuration, a dataclass; None where it has one shape alone."""
    presets: Mapping[str, Any]
    """Configurations with a name; None is that of released weights."""
    pairs: str = "text"
    """Of a student, by which named pairs of layers it imitates: `losses.objective.NamedPairs`."""

    def build(self, config: Any) -> nn.Module:
        """The untrained network of a configuration."""
        return self.network() if self.config is None else self.network(config)


ARCHITECTURES: dict[str, Architecture] = {}
"""All that are registered, by name."""


def register(
    name: str,
    role: Role,
    config: Callable[..., Any],
    presets: Mapping[str, Any],
    *,
    pairs: str = "text",
) -> Callable[[type[Network]], type[Network]]:
    """Decorate the class of a network, so that it can be asked for.

    Args:
        name: What files of weights are to call it.
        role: What it does.
        config: The class of its configuration, a dataclass.
        presets: Configurations by the name they are asked for by, of all networks of a role.
        pairs: See `Architecture`.

    Raises:
        ValueError: If a name is taken.
    """

    def decorate(network: type[Network]) -> type[Network]:
        add(Architecture(name, role, network, config, presets, pairs))
        return network

    return decorate


def add(architecture: Architecture) -> None:
    """Register a network.

    Raises:
        ValueError: If a name is taken.
    """
    name, role = architecture.name, architecture.role
    if name in ARCHITECTURES:
        raise ValueError(f"a network {name!r} is registered already")
    if taken := set(architecture.presets) & set(preset_names(role)):
        raise ValueError(f"a preset {min(taken)!r} of a {role} is registered already")
    ARCHITECTURES[name] = architecture


def preset_names(role: Role) -> list[str]:
    """Names of all presets of a role."""
    return [preset for of in ARCHITECTURES.values() if of.role == role for preset in of.presets]


def preset(role: Role, name: str) -> tuple[Architecture, Any]:
    """The architecture and the configuration that a preset's name stands for.

    Raises:
        ModelError: If there is no such preset.
    """
    for architecture in ARCHITECTURES.values():
        if architecture.role == role and name in architecture.presets:
            return architecture, architecture.presets[name]
    raise ModelError(f"there is no {role} {name!r}; use {', '.join(preset_names(role))}")


def build(role: Role, name: str) -> nn.Module:
    """A network of a preset, untrained.

    Raises:
        ModelError: If there is no such preset.
    """
    architecture, config = preset(role, name)
    return architecture.build(config)


def describe(network: nn.Module) -> dict[str, str]:
    """What must be known to build the network again, as strings for a file's metadata.

    Of a network that is not registered, that is the name of its class: weights are data, never
    code.
    """
    for architecture in ARCHITECTURES.values():
        if type(network) is architecture.network:
            if architecture.config is None:
                return {"kind": architecture.name}
            config: Any = network.config
            return {"kind": architecture.name, "config": json.dumps(asdict(config))}
    return {"kind": f"{type(network).__module__}.{type(network).__qualname__}"}


def rebuild(description: Mapping[str, str]) -> nn.Module:
    """The untrained network that `describe` told of.

    Raises:
        ModelError: If no such network is registered, or its configuration does not fit.
    """
    kind = description.get("kind")
    if kind is None:
        raise ModelError("does not say which network it holds")
    if kind not in ARCHITECTURES:
        raise ModelError(
            f"holds a {kind}, which is not ours to build: build it yourself and load the state "
            "dict with safetensors.torch.load_file"
        )
    architecture = ARCHITECTURES[kind]
    released = None in architecture.presets.values()  # whose files say no more than their kind
    if architecture.config is None or (released and "config" not in description):
        return architecture.build(None)
    try:
        said = json.loads(description["config"])
        if not isinstance(said, dict):
            raise TypeError(f"its configuration is {said!r}")
        fields = {name: tuple(x) if isinstance(x, list) else x for name, x in said.items()}
        return architecture.build(architecture.config(**fields))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"does not say which network it holds: a {kind}, but {error!r}") from error


def is_told_by(network: nn.Module, description: Mapping[str, str]) -> bool:
    """Whether a description is of such a network, one by an earlier kddn too, which knew less."""
    try:
        return describe(rebuild(description)) == describe(network)
    except ModelError:  # not ours to build
        return description == describe(network)
