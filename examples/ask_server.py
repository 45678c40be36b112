"""Ask a server (`kddn serve`): for a clear picture, and for the map that makes it clear.

python examples/ask_server.py http://127.0.0.1:8000 PHOTO
"""

import base64
import io
import json
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image, ImageOps

from kddn.affine import AffineMap

server, path = sys.argv[1], Path(sys.argv[2])
photo = path.read_bytes()

# The whole file goes there, and the clear one comes back in its format.
request = Request(f"{server}/v1/dehaze?strength=0.8", photo, {"Content-Type": "image/jpeg"})
with urlopen(request, timeout=60) as answer:
    path.with_stem(path.stem + "-clear").write_bytes(answer.read())
    print(f"haze {answer.headers['X-Kddn-Haze']}, {answer.headers['X-Kddn-Seconds']} s")

# Or only a small copy goes there, and what comes back is for the picture's own pixels.
with Image.open(path) as whole:
    pixels = np.asarray(ImageOps.exif_transpose(whole).convert("RGB"))  # as it is to be seen
with urlopen(f"{server}/v1/models", timeout=60) as answer:
    size = json.load(answer)["models"][0]["working_size"]
small = Image.fromarray(pixels)
small.thumbnail((size, size))
content = io.BytesIO()
small.save(content, "PNG")
request = Request(f"{server}/v1/map", content.getvalue(), {"Content-Type": "image/png"})
with urlopen(request, timeout=60) as answer:
    told = json.load(answer)


def coefficients(name: str) -> np.ndarray:
    """`h w c`, float32; c is 1 for all colours, or 3."""
    values = np.frombuffer(base64.b64decode(told[name]["values"]), "<f4")
    return values.reshape(told["height"], told["width"], told[name]["channels"])


clear = AffineMap(coefficients("scale"), coefficients("offset"))(pixels, 255)
Image.fromarray(clear).save(path.with_name("by-map.png"))
