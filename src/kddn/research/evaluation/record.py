"""How an evaluation was made: versions, machine, and checksums of models and data."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kddn import records
from kddn.inference.models import find_model
from kddn.research.data.sets import Case
from kddn.research.evaluation.earlier import Earlier
from kddn.research.nets.checkpoints import find_weights, is_weights

_PACKAGES = ("kddn", "torch", "torchmetrics", "numpy", "pillow", "onnxruntime")


class Checksums:
    """Of each data set that was used, its images: so that two records can be compared."""

    def __init__(self) -> None:
        self._images: dict[str, int] = {}
        self._hashes: dict[str, Any] = {}

    def of(self, cases: Iterable[Case]) -> Iterator[Case]:
        """The same cases, taken note of on their way."""
        for case in cases:
            digest = self._hashes.setdefault(case.data, hashlib.sha256())
            self._images[case.data] = self._images.get(case.data, 0) + 1
            for image in (case.hazy, case.clean):
                if image is not None:
                    digest.update((image * 255).round().byte().numpy().tobytes())
            yield case

    def record(self) -> dict[str, dict[str, Any]]:
        """Number of images and SHA-256 of their 8-bit pixels, hazy then clean, by data set."""
        return {
            name: {"images": self._images[name], "sha256": digest.hexdigest()}
            for name, digest in self._hashes.items()
        }


def write_record(
    path: Path,
    models: Mapping[str, str | None],
    checksums: Checksums,
    earlier: Earlier | None = None,
) -> None:
    """Write how an evaluation was made: command, versions, machine, and checksums.

    Args:
        path: The file.
        models: Checksums of what was measured, taken before, by what it was asked for as.
        checksums: Of the data.
        earlier: The evaluation whose rows stand beside.
    """
    record = {
        **records.how_made(_PACKAGES),
        "models": dict(models),
        "data": checksums.record(),
    }
    if earlier is not None:
        record["data"] = earlier.record["data"] | record["data"]
        record["beside"] = earlier.record
    path.write_text(json.dumps(record, indent=2) + "\n")


def checksum_of(model: str) -> str | None:
    """SHA-256 of a model's weights; None for a prior, which has none."""
    if is_weights(model):
        return hashlib.sha256(find_weights(Path(model)).read_bytes()).hexdigest()
    found = find_model(model)
    return None if found.path is None else hashlib.sha256(found.read()).hexdigest()
