"""A sheet of photographs, each beside what some models make of it.

python benchmarks/contact_sheet.py FOLDER SHEET.png [MODEL ...]
"""

import sys
from pathlib import Path

from PIL import Image

from kddn import Dehazer
from kddn.compare import side_by_side, stacked
from kddn.image import read, upright

SUFFIXES = {".jpg", ".jpeg", ".png"}


def main(folder: Path, output: Path, models: list[str]) -> None:
    """Write one sheet, three hundred pixels a picture."""
    dehazers = [Dehazer(model) for model in models or ["kddn-small"]]
    rows = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES):
        with read(path) as image:
            hazy = upright(image)
        panels: list[tuple[str, Image.Image]] = [(path.stem, hazy)]
        panels += [(dehazer.model.name, dehazer(hazy)) for dehazer in dehazers]
        rows.append(side_by_side(panels, width=300))
    stacked(rows).save(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
