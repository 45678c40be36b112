"""Make the golden pictures again, after weights were replaced: python tests/golden/make.py."""

from pathlib import Path

from PIL import Image

from kddn import Dehazer
from kddn.inference.models import list_models

HERE = Path(__file__).parent

HAZY = HERE / "hazy.png"
"""A hazy photograph, 96 pixels wide, as it was shrunk once."""


def main() -> None:
    """Write what every model makes of it."""
    with Image.open(HAZY) as hazy:
        hazy.load()
    for model in list_models():
        Dehazer(model.name, "cpu")(hazy).save(HERE / f"{model.name}.png", optimize=True)


if __name__ == "__main__":
    main()
