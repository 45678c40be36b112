"""Outdoor validation: photographs held back, under haze of other rules than training's.

Three rules, each with draws of its own for each photograph, always the same. Depth comes not from
`kddn.research.data.depth`, nor does the airlight from `HazeConfig`'s draws:

- `even`: the same transmission everywhere, as training draws it for a twelfth of its photographs;
- `height`: fog that lies on the ground: optical depth falls off exponentially upwards, seen along
  rays that rise with the row, but for the nearest rows;
- `clouds`: optical depth of fractal noise, whose airlight is brighter towards one side.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kddn.research.data.pair import Pair
from kddn.research.data.photos import find_photos, load_photos
from kddn.research.data.pixels import names_of
from kddn.research.data.sets.data_set import ANY_PICTURE, Case, DataSet

Maps = NDArray[np.float64]
"""`1 h w`."""


def outdoor_pairs(root: Path) -> Iterator[tuple[str, str, Pair]]:
    """Photographs of a folder that training holds back, under each rule.

    Yields:
        The photograph's name, the rule's, and a batch of one: 480x320 or 320x480, rounded to
        8 bit.
    """
    names = names_of(find_photos(root, "validation"), root)
    for number, (path, photo) in enumerate(names.items()):
        clean = load_clean(path)
        for place, (name, rule) in enumerate(RULES.items()):
            rng = np.random.default_rng([number, place])
            t, airlight = rule(clean.shape[1], clean.shape[2], rng)
            hazy = ((clean * t + airlight * (1 - t)).clip(0, 1) * 255).round() / 255
            parts = (torch.from_numpy(part[None]).float() for part in (hazy, clean, t))
            yield photo, name, Pair(*parts)


def load_clean(path: Path) -> NDArray[np.float64]:
    """A photograph as outdoor validation has it, `3 h w` in [0, 1]."""
    photos = load_photos([path])
    stack = photos.landscape if len(photos.landscape) else photos.portrait
    pixels: NDArray[np.float64] = stack[0].numpy() / 255
    return pixels


def _even(height: int, width: int, rng: np.random.Generator) -> tuple[Maps, Maps]:
    t = np.full((1, height, width), rng.uniform(0.25, 0.8))
    return t, np.full((3, 1, 1), rng.uniform(0.75, 0.95))


def _height(height: int, width: int, rng: np.random.Generator) -> tuple[Maps, Maps]:
    rise = np.linspace(1, -0.3, height)[:, None]  # above the horizon, downwards from the top
    distance = np.where(rise > 0, 1.0, 0.3 / np.maximum(-rise, 0.05) / 6)
    scale = rng.uniform(0.3, 2)  # how high the fog reaches
    thinned = np.where(rise > 0, (1 - np.exp(-rise / scale)) / np.maximum(rise / scale, 1e-3), 1)
    depth = np.minimum(distance, 1) * thinned
    t = np.exp(-rng.uniform(0.7, 2.2) * depth)
    bluish = rng.uniform(0.7, 0.9) + np.array([-0.03, 0, 0.05]).reshape(3, 1, 1)
    return np.broadcast_to(t, (1, height, width)).copy(), bluish


def _clouds(height: int, width: int, rng: np.random.Generator) -> tuple[Maps, Maps]:
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width) * width / height)
    spectrum = np.fft.fft2(rng.standard_normal((height, width)))
    spectrum *= 1 / np.maximum(frequency, 1 / height) ** 1.8
    noise = np.fft.ifft2(spectrum).real
    fraction = (noise - noise.min()) / (noise.max() - noise.min())
    t = np.exp(-(0.2 + rng.uniform(0.8, 2.0) * fraction))[None]
    slope = np.linspace(-0.04, 0.04, width) * rng.choice([-1, 1])
    return t, np.broadcast_to(rng.uniform(0.75, 0.92) + slope, (3, height, width)).copy()


RULES: dict[str, Callable[[int, int, np.random.Generator], tuple[Maps, Maps]]] = {
    "even": _even,
    "height": _height,
    "clouds": _clouds,
}
"""Transmission and airlight by height, width and randomness."""


class Outdoor(DataSet):
    """Photographs that training holds back, hazed as they are asked for."""

    def cases(self, root: Path) -> Iterator[Case]:
        """Each photograph held back, under three hazes."""
        for photo, rule, pair in outdoor_pairs(root):
            yield Case(self.name, photo, f"{photo}_{rule}", pair.hazy, pair.clean)


OUTDOOR = Outdoor(
    name="outdoor",
    summary="every fifth photograph of a folder, under three hazes of other rules than training's",
    licence="yours",
    source="clear photographs of your own, such as BSDS500's",
    example="any picture",
    hazy=ANY_PICTURE,
)
