"""Haze drawn over clean images whose depth is known, or drawn too."""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from kddn.research.data.batches import between
from kddn.research.data.camera import CameraConfig, photograph
from kddn.research.data.depth import sky
from kddn.research.data.pair import Pair
from kddn.research.haze import ITS_AIRLIGHT, ITS_BETA, gray, normalize, scatter, transmission

WAVELENGTHS = torch.tensor([611.0, 549.0, 464.0]).view(3, 1, 1)
"""Dominant wavelengths of sRGB's red, green and blue, in nm."""


@dataclass(frozen=True, kw_only=True)
class HazeConfig:
    """What haze is drawn. The default is the rule of RESIDE's indoor training set."""

    airlight: tuple[float, float] = ITS_AIRLIGHT
    """Range of the airlight `A`."""
    beta: tuple[float, float] = ITS_BETA
    """Range of the scattering coefficient, per relative depth."""
    white: float = 0.0
    """Fraction of images whose airlight is 1, as SOTS's and many photographs' is."""
    tint: float = 0.0
    """Standard deviation of the airlight's colour: red up and blue down by as much, or reverse."""
    angstrom: float = 0.0
    """Largest Angstrom exponent `a`, drawn uniformly from 0: haze scatters light of wavelength `l`
    as `l ** -a`, blue more than red, so that what is far turns blue. About 1.3 in most air."""
    floor: float = 0.0
    """Least transmission that haze is to be removed at: where less light comes through, what is
    behind cannot be known, and the target keeps haze of transmission `t / floor`."""
    haze_free: float = 0.0
    """Fraction of images that have no haze and come back as they are."""
    bias: float = 0.0
    """Largest deviation of each of the airlight's channels, on every image."""
    tinted: float = 0.0
    """Fraction of images whose haze has a strong colour: sand's, smog's or blue."""
    dim: float = 0.0
    """Fraction of images whose scene is darkened before the haze, while the target stays bright."""
    exponent: float = 2.5
    """Largest exponent that darkens dim scenes."""
    grain: float = 0.0
    """Largest standard deviation of noise in the scene, which the haze then covers."""
    night: float = 0.0
    """Fraction of images that are dark and have no haze, and come back as they are."""
    vary: float = 0.0
    """By how much the scenes' own tone and colours vary, targets too: the largest logarithm of an
    exponent, and twice the largest of each channel's gain."""
    uneven: float = 0.0
    """How much darker the airlight gets over an image, by the sun and by what shades the air: the
    largest logarithm of the brightest over the darkest. That is green's; of red and blue, one has
    up to 1.6 times as much and the other less."""
    aerial: float = 0.0
    """Fraction of images with a sky whose haze has the sky's colour, and lies before it: the sky
    itself stays as it is."""
    bend: float = 0.0
    """By how much depth varies, so that no scene's is learnt by heart: the largest logarithm of an
    exponent, which leaves depths of 0 and 1 where they are."""
    collage: float = 0.0
    """Fraction of images that a part of another image of the batch lies over, at its own depth."""
    camera: CameraConfig = field(default_factory=CameraConfig)
    """What the camera adds to hazy images."""

    def __post_init__(self) -> None:
        if not 0 <= self.airlight[0] <= self.airlight[1] <= 1:
            raise ValueError(f"airlight must be a range within [0, 1], not {self.airlight}")
        if not 0 <= self.beta[0] <= self.beta[1]:
            raise ValueError(f"beta must be a range of 0 or more, not {self.beta}")
        if self.angstrom < 0:
            raise ValueError(f"angstrom must be 0 or more, not {self.angstrom}")
        if min(self.bias, self.grain, self.vary, self.uneven, self.bend) < 0 or self.exponent < 1:
            raise ValueError(
                "bias, grain, vary, uneven and bend must be 0 or more, and exponent 1 or more"
            )
        for name in ("white", "haze_free", "floor", "tinted", "dim", "night", "aerial", "collage"):
            if not 0 <= (fraction := getattr(self, name)) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], not {fraction}")


def add_haze(clean: Tensor, depth: Tensor, config: HazeConfig, generator: torch.Generator) -> Pair:
    """Draw haze of its own for each image of a batch.

    Args:
        clean: `J`, `b 3 h w` in [0, 1].
        depth: Distance relative to the farthest, `b 1 h w` in [0, 1].
        config: What haze to draw.
        generator: Randomness, on the CPU, so that it is the same on every device.

    Returns:
        The hazy images, what is to be made of them, and the transmission of green light.
    """
    one_each = len(clean), 1, 1, 1
    airlight = between(*config.airlight, one_each, generator)
    beta = between(*config.beta, one_each, generator)
    airlight = airlight.where(between(0, 1, one_each, generator) >= config.white, 1.0)
    warmth = config.tint * torch.randn(one_each, generator=generator)
    colour = warmth * torch.tensor([1.0, 0.0, -1.0]).view(3, 1, 1)
    is_haze_free = between(0, 1, one_each, generator) < config.haze_free
    airlight = airlight + colour
    # Nothing is drawn for what is not asked for, so that earlier recipes draw what they drew.
    if config.bias > 0:
        airlight = airlight + between(-config.bias, config.bias, (len(clean), 3, 1, 1), generator)
    if config.tinted > 0:
        airlight = airlight * _strong_tints(len(clean), config.tinted, generator)
    if config.vary > 0:
        clean = _varied(clean, config.vary, generator)
    if config.bend > 0:
        depth = depth ** between(-config.bend, config.bend, one_each, generator).exp().to(
            depth.device
        )
    if config.collage > 0:
        clean, depth = _laid_over(clean, depth, config.collage, generator)
    if config.night > 0:
        is_night = between(0, 1, one_each, generator) < config.night
        is_haze_free = is_haze_free | is_night
        exponents = between(2.0, 4.0, one_each, generator).where(is_night, 1.0)
        clean = clean ** exponents.to(clean.device)
    airlight = airlight.clamp(0, 1).to(clean.device)
    if config.uneven > 0:
        airlight = airlight * _fall_off(clean, config.uneven, generator)
    clean = clean.contiguous(memory_format=torch.channels_last)
    scene = _as_lit(clean, is_haze_free, config, generator)
    if config.aerial > 0:
        is_aerial = between(0, 1, one_each, generator) < config.aerial
        paler = between(0, 0.7, one_each, generator)
        airlight, depth = _before_the_sky(scene, airlight, depth, is_aerial, paler)
    t = transmission(depth, beta.where(~is_haze_free, 0.0).to(clean.device))
    if config.angstrom > 0:
        exponent = between(0, config.angstrom, one_each, generator)
        t_rgb = t ** ((WAVELENGTHS[1] / WAVELENGTHS) ** exponent).to(clean.device)
    else:
        t_rgb = t
    hazy = scatter(scene, t_rgb, airlight)
    if config.floor > 0:
        clean = scatter(clean, (t_rgb / config.floor).clamp(max=1), airlight)
    photographed = photograph(hazy, config.camera, generator)
    return Pair(torch.where(is_haze_free.to(clean.device), hazy, photographed), clean, t)


_TINTS = torch.tensor([[1.0, 0.82, 0.58], [0.97, 0.9, 0.76], [0.76, 0.88, 1.0]])
"""Airlights of sand, of smog, and of what is blue, relative to white."""


def _strong_tints(count: int, fraction: float, generator: torch.Generator) -> Tensor:
    """What to multiply each airlight by, `b 3 1 1`: 1, or a strong colour more or less thinned."""
    one_each = count, 1, 1, 1
    kinds = torch.randint(len(_TINTS), (count,), generator=generator)
    depth = between(0.3, 1.0, one_each, generator)
    tints = 1 + depth * (_TINTS[kinds].view(-1, 3, 1, 1) - 1)
    return tints.where(between(0, 1, one_each, generator) < fraction, 1.0)


def _fall_off(clean: Tensor, most: float, generator: torch.Generator) -> Tensor:
    """What to multiply each airlight by, `b 3 h w`: 1 at its brightest, smoothly less elsewhere.

    Up or down the picture, or from place to place, as a mixture of the two; bluer or redder too.
    """
    count, _, height, width = clean.shape
    one_each = count, 1, 1, 1
    rows = torch.linspace(-1, 1, height).view(1, 1, -1, 1)
    grid = torch.randn(count, 1, 3, 3, generator=generator)
    places = F.interpolate(grid, (height, width), mode="bicubic", align_corners=True)
    darkness = normalize(places + rows * between(-3, 3, one_each, generator))
    amount = between(0, most, one_each, generator)
    warmth = 0.3 * torch.randn(one_each, generator=generator).clamp(-2, 2)
    by_colour = 1 + warmth * torch.tensor([1.0, 0.0, -1.0]).view(3, 1, 1)
    return (-amount * darkness * by_colour).exp().to(clean.device)


_LEAST_SKY = 0.03
"""Of an image: where there is less, its colour is left to chance."""
_DARKEST_SKY = 0.4
"""What is darker, or greener than red and blue, was taken for sky by mistake."""


def _before_the_sky(
    scene: Tensor, airlight: Tensor, depth: Tensor, chosen: Tensor, paler: Tensor
) -> tuple[Tensor, Tensor]:
    """The airlight, `b 3 _ _`, and depth of haze that ends at the sky, for those chosen with one.

    The airlight is the sky's mean colour, `paler` by a fraction of the way to gray, as skies are
    towards the horizon.
    """
    which = chosen.flatten().nonzero().flatten().to(scene.device)
    if not len(which):
        return airlight, depth
    is_sky = sky(scene[which])
    area = is_sky.mean((-2, -1), keepdim=True)
    colour = (scene[which] * is_sky).mean((-2, -1), keepdim=True) / area.clamp(min=1e-6)
    red, green, blue = colour.unbind(1)
    like_one = (gray(colour) >= _DARKEST_SKY) & (green <= torch.maximum(red, blue))[:, None]
    has_one = (area >= _LEAST_SKY) & like_one
    colour = torch.lerp(colour, colour.amax(1, keepdim=True), paler.to(scene.device)[which])
    before = depth[which] * (1 - is_sky)
    return (
        airlight.index_copy(0, which, torch.where(has_one, colour, airlight[which])),
        depth.index_copy(0, which, torch.where(has_one, before, depth[which])),
    )


def _varied(clean: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Scenes with a tone and colours of their own."""
    exponents = between(-amount, amount, (len(clean), 1, 1, 1), generator).exp()
    gains = (between(-amount, amount, (len(clean), 3, 1, 1), generator) / 2).exp()
    return (clean ** exponents.to(clean.device) * gains.to(clean.device)).clamp(0, 1)


def _laid_over(
    clean: Tensor, depth: Tensor, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Scenes and their depth, of which a fraction have a rectangle of the scene before them."""
    count, _, *size = clean.shape
    chosen = between(0, 1, (count, 1, 1, 1), generator) < fraction
    is_over = chosen
    for axis, side in enumerate(size):
        shape = (1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1)
        places = torch.linspace(0, 1, side).view(shape)
        length = between(0.25, 0.75, (count, 1, 1, 1), generator)
        start = between(0, 1, (count, 1, 1, 1), generator) * (1 - length)
        is_over = is_over & (places >= start) & (places <= start + length)
    is_over = is_over.to(clean.device)
    return torch.where(is_over, clean.roll(1, 0), clean), torch.where(
        is_over, depth.roll(1, 0), depth
    )


def _as_lit(
    clean: Tensor, as_it_is: Tensor, config: HazeConfig, generator: torch.Generator
) -> Tensor:
    """The scenes as they lie under the haze: some darker than they are to come out, some grainy."""
    one_each = len(clean), 1, 1, 1
    scene = clean
    if config.dim > 0:
        is_dim = (between(0, 1, one_each, generator) < config.dim) & ~as_it_is
        exponents = between(1.0, config.exponent, one_each, generator).where(is_dim, 1.0)
        scene = scene ** exponents.to(clean.device)
    if config.grain > 0:
        sigmas = between(0, config.grain, one_each, generator).where(~as_it_is, 0.0)
        noise = sigmas * torch.randn(clean.shape, generator=generator)
        scene = (scene + noise.to(clean.device)).clamp(0, 1)
    return scene
