"""The models that can be asked for: those inside the package, and any ONNX file with its card."""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from kddn.errors import ModelError
from kddn.priors import PRIORS

DEFAULT = "kddn-photo"
"""What removes haze when nothing else is asked for."""

_WEIGHTS = Path(str(files("kddn"))) / "weights"

CARD_FORMAT = 1
"""Format of the cards that this kddn writes and reads."""

Output = Literal["affine", "image"]
"""What a network puts out: the affine map that makes a picture clear, or the clear picture."""


@dataclass(frozen=True)
class Model:
    """A model and what is needed to run it."""

    name: str
    """What it is asked for by."""
    summary: str
    """One sentence."""
    working_size: int
    """Longest side, in pixels, that it estimates at."""
    path: Path | None = None
    """The ONNX file; none for a prior."""
    sha256: str | None = None
    """The ONNX file's checksum."""
    output: Output = "image"
    """What it puts out."""
    stride: int = 1
    """What both sides of its input must be multiples of."""

    def read(self) -> bytes:
        """The ONNX file's content, its checksum verified.

        Raises:
            ModelError: If the file cannot be read or is not the one that the card describes.
        """
        assert self.path is not None, f"{self.name} has no weights"
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise ModelError(f"{self.path} cannot be read ({error.strerror})") from error
        if self.sha256 is not None and hashlib.sha256(content).hexdigest() != self.sha256:
            raise ModelError(
                f"{self.path} is damaged: its SHA-256 differs from its card's; "
                "install kddn again, or export the model again"
            )
        return content


_PRIORS_SIZE = 640
"""Longest side, in pixels, that priors estimate at: their patches are meant for such pictures."""


def list_models() -> list[Model]:
    """Every model that needs no file, the default first."""
    cards = sorted(_WEIGHTS.glob("*.json"), key=lambda card: (card.stem != DEFAULT, card.stem))
    priors = (Model(prior.name, prior.summary, _PRIORS_SIZE) for prior in PRIORS.values())
    return [*(_read_card(card) for card in cards), *priors]


def find_model(name: str | Path) -> Model:
    """The model of a name, or of an `.onnx` file that has its card (`.json`) beside it.

    Raises:
        ModelError: If there is no such model, or its card is missing or damaged.
    """
    path = Path(name)
    if path.suffix == ".onnx":
        card = path.with_suffix(".json")
        if not path.is_file() or not card.is_file():
            absent = card if path.is_file() else path
            raise ModelError(f"{absent} does not exist; `kddn export` writes both files")
        return _read_card(card)
    models = {model.name: model for model in list_models()}
    if str(name) not in models:
        known = ", ".join(models)
        raise ModelError(f"there is no model {str(name)!r}; use {known}, or an .onnx file")
    return models[str(name)]


def _read_card(card: Path) -> Model:
    try:
        fields = json.loads(card.read_text("utf-8", "replace"))
        if fields["format"] != CARD_FORMAT:
            raise ModelError(
                f"{card} has format {fields['format']!r}, and this kddn reads format "
                f"{CARD_FORMAT}; install a newer kddn, or export the model again"
            )
        if fields["output"] not in get_args(Output):
            raise ModelError(
                f"{card} says that the network's output is {fields['output']!r}, which is none of "
                f"{', '.join(get_args(Output))}; export the model again with `kddn export`"
            )
        working_size = int(fields["working_size"])
        if working_size < 1:
            raise ValueError(f"working_size {working_size}")
        return Model(
            name=card.stem,
            summary=fields["summary"],
            working_size=working_size,
            path=card.with_suffix(".onnx"),
            sha256=fields["sha256"],
            output=fields["output"],
            stride=int(fields["stride"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{card} is no model card ({error!r}); export the model again with `kddn export`"
        ) from error
