"""What is damaged: a small picture in every format and mode that is read, videos and weights."""

import contextlib
import io
import itertools
import json
import struct
import tempfile
import warnings
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms

from helpers import encoded, hazy_photograph
from kddn.inference.models import find_model
from kddn.io.files import _register_heif

SIZE = (48, 32)

MODES = (
    "1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I",
    "I;16", "F",
)  # fmt: skip

TIFF_COMPRESSIONS = (
    "raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "group3", "group4", "webp", "zstd",
)  # fmt: skip


@cache
def pictures() -> dict[str, bytes]:
    """By format, mode and what is special."""
    return {**_modes(), **_variants(), **_high_bit_depths(), **_read_only()}


def in_mode(mode: str) -> Image.Image:
    """The picture that all of them show."""
    picture = hazy_photograph(*SIZE)
    for step in {"I;16": "L", "La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode, "RGB"), mode:
        picture = picture.convert(step)
    return picture


def _modes() -> dict[str, bytes]:
    _register_heif()
    Image.init()
    found = {}
    for kind, mode in itertools.product(sorted(Image.OPEN.keys() & Image.SAVE.keys()), MODES):
        # Formats say in many ways what they cannot hold, and some that they will go.
        with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):
            found[f"{kind} {mode}"] = encoded(in_mode(mode), kind)
    return found


def _variants() -> dict[str, bytes]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    said = {"exif": exif(6), "icc_profile": profile.tobytes(), "xmp": XMP}
    _register_heif()
    found = {
        "JPEG progressive": _new("JPEG", progressive=True, subsampling="4:2:0"),
        "JPEG that says much": _new("JPEG", comment=b"a comment", **said),
        "MPO": _new("MPO", frames=2),
        "PNG that says much": _new("PNG", **said),
        "PNG animated": _new("PNG", frames=2),
        "PNG with one colour hidden": _new("PNG", transparency=(255, 255, 255)),
        "WEBP without loss": _new("WEBP", lossless=True),
        "WEBP that says much": _new("WEBP", **said),
        "WEBP animated": _new("WEBP", frames=2),
        "GIF animated": _new("GIF", frames=2),
        "AVIF that says much": _new("AVIF", **said),
        "HEIF that says much": _new("HEIF", **said),
        "TIFF that says much": _new("TIFF", exif=said["exif"]),
        "TIFF big": _new("TIFF", big_tiff=True),
        "TIFF of two pages": _new("TIFF", frames=2),
    }
    for compression in TIFF_COMPRESSIONS:
        with contextlib.suppress(Exception):
            mode = "1" if compression.startswith("group") else "RGB"
            content = encoded(in_mode(mode), "TIFF", compression=compression)
            found[f"TIFF {compression}"] = content
    return found


def _new(kind: str, frames: int = 1, **options) -> bytes:
    several = {"save_all": True, "append_images": [in_mode("RGB") for _ in range(1, frames)]}
    return encoded(in_mode("RGB"), kind, **(several if frames > 1 else {}), **options)


def exif(orientation: int) -> bytes:
    """EXIF of a camera with a place."""
    said = Image.Exif()
    said[0x0112], said[0x010F] = orientation, "camera"
    said.get_ifd(0x8769)[0xA002] = SIZE[0]
    said.get_ifd(0x8825)[2] = (48.0, 51.0, 29.5)
    return said.tobytes()


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"
 xmlns:Container="http://ns.google.com/photos/1.0/container/">
<xmp:Thumbnails>none</xmp:Thumbnails><Container:Directory/></rdf:Description></rdf:RDF></x:xmpmeta>
"""


def _high_bit_depths() -> dict[str, bytes]:
    deep = np.asarray(in_mode("RGB")).astype(np.uint16) * 257
    alpha = np.dstack([deep, deep[..., 0]])
    found = {
        "PNG of 16 bits": imagecodecs.png_encode(deep),
        "PNG of 16 bits and alpha": imagecodecs.png_encode(alpha),
    }
    kinds = {
        "of 16 bits": (deep, {}),
        "of floats": ((deep / 65535).astype(np.float32), {"compression": "deflate"}),
        "of half floats": ((deep / 65535).astype(np.float16), {"predictor": False}),
        "of planes": (deep.transpose(2, 0, 1).copy(), {"planarconfig": "separate"}),
        "in tiles": (deep, {"tile": (16, 16), "compression": "zstd"}),
        "that is big-endian": (deep, {"byteorder": ">"}),
        "with alpha": (alpha, {"extrasamples": ["assocalpha"]}),
    }
    for name, (pixels, options) in kinds.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pixels, photometric="rgb", metadata=None, **options)
        found[f"TIFF {name}"] = buffer.getvalue()
    return found


def _read_only() -> dict[str, bytes]:
    """Formats that Pillow does not write."""
    width, height = SIZE
    rgb = in_mode("RGB").tobytes()
    planes = b"".join(plane.tobytes() for plane in in_mode("RGB").split())
    ico = encoded(in_mode("RGBA"), "ICO", sizes=[SIZE], bitmap_format="bmp")
    cards = ("SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   = 2")
    header = (*cards, f"NAXIS1  = {width}", f"NAXIS2  = {height}", "END")
    pcx = encoded(in_mode("RGB"), "PCX")
    return {
        "PSD": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, height, width, 8, 3)
        + bytes(12) + b"\0\0" + planes,
        "SUN": struct.pack(">8I", 0x59A66A95, width, height, 24, len(rgb), 1, 0, 0) + rgb,
        "FITS": "".join(f"{card:80}" for card in header).ljust(2880).encode() + planes[:2880],
        "XPM": b'/* XPM */\nstatic char *x[] = {\n"2 2 2 1",\n"a c #ffffff",\n"b c #000000",\n'
        b'"ab",\n"ba"\n};\n',
        "CUR": ico[:2] + b"\2" + ico[3:],
        "DCX": struct.pack("<3I", 0x3ADE68B1, 12, 0) + pcx,
        "GBR": struct.pack(">7I", 32, 2, width, height, 3, 0x47494D50, 10) + b"name" + rgb,
    }  # fmt: skip


@cache
def videos() -> dict[str, bytes]:
    """Six frames in every kind of container, with the codecs that are most usual there."""
    av.logging.set_level(None)
    kinds = {
        "mp4": "libx264", "mov": "mjpeg", "mkv": "libx265", "webm": "libvpx-vp9", "avi": "mpeg4",
        "ts": "mpeg2video", "mpg": "mpeg1video", "wmv": "wmv2", "flv": "flv", "3gp": "h263",
    }  # fmt: skip
    return {f".{ending} {codec}": _video(ending, codec) for ending, codec in kinds.items()}


QUIETLY = {"libx265": {"x265-params": "log-level=none"}}


def _video(ending: str, codec: str) -> bytes:
    size = (128, 96) if codec == "h263" else (64, 64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"video.{ending}")
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=Fraction(25), options=QUIETLY.get(codec, {}))
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for index in range(6):
                pixels = np.asarray(hazy_photograph(*size)) // (1 + index % 2)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            container.mux(stream.encode())
        return path.read_bytes()


@cache
def models() -> dict[str, bytes]:
    """A card and a network, each of which is damaged for itself."""
    model = find_model("kddn-photo")
    card = json.loads(model.path.with_suffix(".json").read_text())
    return {
        "card": json.dumps(card).encode(),
        "card without checksum": json.dumps(card | {"sha256": None}).encode(),
        "ONNX": model.path.read_bytes(),
        "ONNX without checksum": model.path.read_bytes(),
    }


@cache
def checkpoints() -> dict[str, bytes]:
    """A network as others save one, in PyTorch's formats and as safetensors."""
    import torch
    from safetensors.torch import save

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    found = {"safetensors": save(network.state_dict())}
    for kind, archive in {"archive": True, "old": False}.items():
        for name, what in {"state": network.state_dict(), "module": network}.items():
            buffer = io.BytesIO()
            torch.save(what, buffer, _use_new_zipfile_serialization=archive)
            found[f"{kind} {name}"] = buffer.getvalue()
    return found
