"""One picture: how much haze there is, and the picture without it.

python examples/one_picture.py demo/aitzgorri.jpg
"""

import sys
from pathlib import Path

from PIL import Image

from kddn import Dehazer

path = Path(sys.argv[1])
dehazer = Dehazer()
with Image.open(path) as picture:
    t = dehazer.transmission(picture)  # h w: the fraction of the scene's light that arrives
    print(f"haze: {1 - t.mean():.2f} on average, {1 - t.min():.2f} where it is thickest")
    Image.fromarray((255 * t).round().astype("uint8")).save(path.with_name("transmission.png"))

done = dehazer.file(path, path.with_stem(path.stem + "-clear"), strength=0.8, overwrite=True)
print(done.path, *done.lost, sep="\n  without ")
