"""Ten seconds of 1080p with sound, made from a photograph and dehazed: speed, memory, steadiness.

python benchmarks/video.py PHOTOGRAPH SECONDS [MODEL ...]

Flicker is the mean second difference over time of the mean brightness of 16x9 blocks, in levels of
255: a pan changes them evenly, so it counts for little.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import numpy as np
from PIL import Image

from kddn import Dehazer
from kddn.inference.models import DEFAULT
from kddn.video.dehaze import dehaze_video

WIDTH, HEIGHT, RATE = 1920, 1080, 30
PAN = 400


def main(photograph: Path, seconds: int, models: list[str]) -> None:
    """Print one line a setting."""
    folder = Path(tempfile.mkdtemp())
    for name, pan in (("still", 0), ("pan", PAN)):
        source = folder / f"{name}.mp4"
        make(source, photograph, seconds * RATE, pan)
        print(f"{name}, hazy: flicker {flicker(source):.3f}")
        for model, memory in product(models, (0.0, 0.8)):
            began = time.perf_counter()
            result = folder / f"{name}-{model}-{memory}.mp4"
            done = dehaze_video(Dehazer(model), source, result, memory=memory)
            rate = done.frames / (time.perf_counter() - began)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            same = "the same" if sound(source) == sound(result) else "NOT the same"
            print(
                f"{name}, {model}, memory {memory}: flicker {flicker(result):.3f}, {rate:.1f} "
                f"frames a second, peak {peak:.0f} MB so far, {done.frames} frames, sound {same}"
            )


def make(path: Path, photograph: Path, frames: int, pan: int) -> None:
    """A hazy photograph, panned, with noise, and a tone."""
    with Image.open(photograph) as image:
        wide = np.asarray(image.convert("RGB").resize((WIDTH + PAN, HEIGHT)), np.float32)
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as video:
        pictures = video.add_stream("libx264", rate=Fraction(RATE), options={"crf": "18"})
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = video.add_stream("aac", rate=48000)
        for index in range(frames):
            left = pan * index // frames
            noise = rng.normal(0, 4, (HEIGHT, WIDTH, 3)).astype(np.float32)
            pixels = (wide[:, left : left + WIDTH] + noise).clip(0, 255).round().astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = index
            video.mux(pictures.encode(frame))
        video.mux(pictures.encode(None))
        for start in range(0, 48000 * frames // RATE, 1024):
            phase = np.arange(start, start + 1024) / 48000 * 2 * np.pi * 440
            tone = (0.3 * np.sin(phase)).astype(np.float32)[None]
            heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            heard.rate, heard.pts = 48000, start
            video.mux(sound.encode(heard))
        video.mux(sound.encode(None))


def flicker(path: Path) -> float:
    """See above."""
    blocks = np.array(list(brightness(path)))
    return float(np.abs(np.diff(blocks, 2, axis=0)).mean())


def brightness(path: Path) -> Iterator[np.ndarray]:
    """Mean brightness of a frame's blocks, frame by frame."""
    with av.open(str(path)) as video:
        for frame in video.decode(video=0):
            gray = frame.to_ndarray(format="gray").astype(np.float32)
            yield gray.reshape(9, HEIGHT // 9, 16, WIDTH // 16).mean((1, 3))


def sound(path: Path) -> bytes:
    """The packets of the sound."""
    with av.open(str(path)) as video:
        return b"".join(bytes(packet) for packet in video.demux(audio=0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photograph", type=Path)
    parser.add_argument("seconds", type=int)
    parser.add_argument("models", nargs="*", default=[DEFAULT])
    asked = parser.parse_args()
    main(asked.photograph, asked.seconds, asked.models)
