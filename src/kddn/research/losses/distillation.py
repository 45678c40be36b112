"""The student imitates the teacher: pairs of layers, and the projection `g` between them.

Student and teacher are any two networks; layers are told by their modules' names.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kddn.errors import ModelError
from kddn.research.losses.functions import Features, imitation, resize
from kddn.research.nets.features import feature_channels, run_tapped, tapped_features


@dataclass(frozen=True)
class MimicPair:
    """A layer of the student and the teacher's layer that it imitates: `(m, n)` of equation 5."""

    teacher: str
    """Name of the teacher's module, as `backbone.block2`."""
    student: str
    """Name of the student's module, as `backbone.group1`."""


def pairs(teacher: Sequence[int], student: Sequence[int]) -> tuple[MimicPair, ...]:
    """Pairs of our own networks' layers by number."""
    return tuple(
        MimicPair(f"backbone.block{m}", f"backbone.group{n}")
        for m, n in zip(teacher, student, strict=True)
    )


TEXT_PAIRS = pairs((2, 4, 6), (1, 2, 3))
"""As section 4.1 of the paper says."""

TSNE_PAIRS = pairs((1, 2, 3), (2, 4, 6))
"""As the t-SNE of section 4.2 implies: the 4th group against the 2nd block."""

ALL_PAIRS = pairs(range(1, 7), range(1, 7))
"""All six, one to one, as the authors' code does."""

UNET_PAIRS = (
    MimicPair("backbone.block2", "encoder1"),
    MimicPair("backbone.block4", "decoder1.block1"),
    MimicPair("backbone.block6", "decoder1"),
)
"""Of a U: what it has at the teacher's size, a quarter of the input's."""


class Frozen:
    """A network that is only looked at: it never learns, and no checkpoint holds it.

    Args:
        network: What to freeze.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval().requires_grad_(False)

    def like(self, x: Tensor) -> nn.Module:
        """The network, on a tensor's device and in its type."""
        return self._network.to(x.device, x.dtype)


class Imitation(nn.Module):
    """A frozen teacher, and what a student must do to look like it inside (equations 5 and 6).

    Args:
        student: The network that learns; only looked at, not kept.
        teacher: The network to imitate. It is frozen here: its weights never change.
        pairs: Which layers imitate which.
        project: Whether a 1x1 convolution `g`, trained along, comes between; without, paired
            layers must have the same number of channels.

    Raises:
        ModelError: If a name is no module's, a module's output is no feature map, or channels
            differ without projection.

    Examples:
        >>> student = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3))
        >>> teacher = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 3, 3))
        >>> imitate = Imitation(student, teacher, [MimicPair(teacher="1", student="1")])
        >>> hazy, clean = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
        >>> output, features = imitate.tap(student, hazy)
        >>> imitate(features, clean).shape
        torch.Size([])
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        pairs: Sequence[MimicPair] = TEXT_PAIRS,
        *,
        project: bool = True,
    ) -> None:
        super().__init__()
        self._teacher = Frozen(teacher)
        self.pairs = tuple(pairs)
        if not self.pairs:
            raise ModelError("imitation needs at least one pair of layers")
        inner = feature_channels(student, [pair.student for pair in self.pairs])
        outer = feature_channels(teacher, [pair.teacher for pair in self.pairs])
        channels = list(zip(inner, outer, strict=True))
        if not project:
            self._check_equal(channels)
        self.projections = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1) if project else nn.Identity()
            for inputs, outputs in channels
        )

    def tap(self, student: nn.Module, hazy: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the student: its output, and the features that imitate."""
        return run_tapped(student, hazy, [pair.student for pair in self.pairs])

    def forward(
        self,
        features: dict[str, Tensor],
        clean: Float[Tensor, "b 3 h w"],
        density: Float[Tensor, "b 1 h w"] | None = None,
    ) -> Float[Tensor, ""]:
        """How far the student's features are from the teacher's on the clean images.

        Args:
            features: The student's, from `tap`.
            clean: What the teacher sees.
            density: `psi`; without, all places count the same.
        """
        with torch.no_grad():
            teacher = self._teacher.like(clean)
            seen = tapped_features(teacher, clean, [pair.teacher for pair in self.pairs])
        theirs: list[Features] = [seen[pair.teacher] for pair in self.pairs]
        ours: list[Features] = [
            resize(project(features[pair.student]), target.shape[-2:])
            for pair, project, target in zip(self.pairs, self.projections, theirs, strict=True)
        ]
        return imitation(ours, theirs, density)

    def _check_equal(self, channels: Sequence[tuple[int, int]]) -> None:
        for pair, (student, teacher) in zip(self.pairs, channels, strict=True):
            if student != teacher:
                raise ModelError(
                    f"{pair.student!r} has {student} channels and {pair.teacher!r} has {teacher}; "
                    "pair layers of the same width, or project"
                )
