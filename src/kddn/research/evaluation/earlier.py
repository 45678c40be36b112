"""An earlier evaluation, whose rows come beside new ones."""

import json
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kddn.errors import DataError
from kddn.research.evaluation.rows import read_rows
from kddn.research.evaluation.scores import NoReference, Score


class Earlier:
    """What an earlier evaluation left in its folder, whose rows come beside new ones.

    Args:
        folder: Its output.

    Raises:
        DataError: If it holds no evaluation.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hazy: dict[_Place, float] = {}
        self._places: set[tuple[str, str]] = set()
        """Data sets and protocols of the rows that were kept."""
        try:
            self.record = json.loads((folder / "evaluation.json").read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} holds no evaluation to stand beside ({error})") from error

    def rows(
        self,
        data: Container[str],
        systems: Container[str],
        protocols: Container[str],
        metrics: Sequence[str],
        models: Mapping[str, str | None],
    ) -> Iterator[Score | NoReference]:
        """Those of what is not measured again: systems on data sets.

        Nor of what another file said under the name of one of `models`, whose checksums these are.

        Raises:
            DataError: If they are by other metrics than those named, or of the data sets that are
                measured again by another protocol.
        """
        before = self.models()
        stale = {name for name in models if before.get(name, models[name]) != models[name]}
        stale |= {Path(name).stem for name in stale}
        for line in read_rows(self.folder / "images.csv"):
            of_what = {key: line.pop(key) for key in _OF_WHAT}
            seconds = float(line.pop("seconds"))
            if line.keys() != {*metrics}:
                raise DataError(
                    f"{self.folder} was measured by {', '.join(line)}; ask for the same metrics"
                )
            if of_what["data"] in data and of_what["protocol"] not in protocols:
                raise DataError(
                    f"{self.folder} was measured by protocol {of_what['protocol']} too; ask for "
                    "the same protocols"
                )
            figures = {metric: float(line[metric]) for metric in metrics}
            score = Score(**of_what, figures=figures, seconds=seconds)
            yield from self._kept(score, data, systems, stale)
        for line in read_rows(self.folder / "no-reference.csv"):
            of_what = {key: line.pop(key) for key in ("data", "system", "image")}
            found = {key: float(value) if value else None for key, value in line.items()}
            row = NoReference(**of_what, **found)  # type: ignore[arg-type]
            yield from self._kept(row, data, systems, stale)

    def models(self) -> dict[str, str | None]:
        """Checksums of all models that its rows are of, by what they were asked for as."""
        found: dict[str, str | None] = {}
        record = self.record
        while record:
            found = record["models"] | found
            record = record.get("beside")
        return found

    def check_names(self, models: Mapping[str, str | None]) -> None:
        """See that no new model stands under the name of another one's file.

        Raises:
            DataError: If one does, whose rows would replace the other's.
        """
        before = self.models()
        for name in models:
            for other, checksum in before.items():
                alike = Path(other).stem == Path(name).stem and other != name
                if alike and checksum != models[name]:
                    raise DataError(
                        f"{name} would be called as {other} is in {self.folder}, whose rows would "
                        "be lost; rename one of the files"
                    )

    def _kept(
        self,
        row: Score | NoReference,
        data: Container[str],
        systems: Container[str],
        stale: Container[str],
    ) -> Iterator[Score | NoReference]:
        """A row, if it is not measured again; of hazy images its figure is remembered."""
        place, figure = _hazy(row)
        if row.system == "hazy":
            self._hazy[place] = figure
        # With the path that it took: `@512` or `full`.
        called = row.system.rpartition(" ")[0]
        if row.system in stale or called in stale:
            return
        if row.data not in data or row.system not in systems:
            self._places.add(place[:2])
            yield row

    def checked(self, found: Iterable[Score | NoReference]) -> Iterator[Score | NoReference]:
        """New results, of the same images as those that `rows` has given.

        By what there is to say of the hazy ones, since other processors may draw some pixels of
        their haze differently by a level.

        Raises:
            DataError: As soon as an image differs, or at the end, if some were not among them.
        """
        measured = {place[:2] for place in self._hazy}
        seen = set[_Place]()
        for result in found:
            if result.system == "hazy":
                place, figure = _hazy(result)
                seen.add(place)
                if place[:2] in self._places - measured:
                    raise DataError(
                        f"{self.folder} does not say which images of {result.data} its rows are "
                        "of, as it has none of the hazy ones; evaluate all systems again"
                    )
                before = self._hazy.get(place, math.nan)
                same = math.isclose(before, figure, rel_tol=0, abs_tol=_SAME)  # infinite ones too
                if place[:2] in measured and not same:
                    raise self._of_others(result.data)
            yield result
        asked = {place[:2] for place in seen}
        for data, protocol, _ in self._hazy.keys() - seen:
            if (data, protocol) in asked:
                raise self._of_others(data)

    def check_pixels(
        self, results: Iterable[Score | NoReference], data: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """See that sets whose input is the target are the same: no figure tells one from another.

        Args:
            results: All of them.
            data: Checksums of what was measured now.

        Raises:
            DataError: If one has other pixels now.
        """
        hazy = [row for row in results if isinstance(row, Score) and row.system == "hazy"]
        for name in data.keys() & self.record["data"].keys() & {place[0] for place in self._places}:
            figures = [row.figures["psnr"] for row in hazy if row.data == name]
            is_target = bool(figures) and min(figures) >= _IDENTICAL
            if is_target and data[name] != self.record["data"][name]:
                raise self._of_others(name)

    def _of_others(self, data: str) -> DataError:
        return DataError(
            f"{data} had other images when {self.folder} was written: its rows and the new "
            "ones do not belong beside each other; evaluate all systems again"
        )


_IDENTICAL = 100.0
"""PSNR of what is its own target, dB."""

_Place = tuple[str, str, str]
"""Data set, protocol and image."""

_SAME = 0.01
"""Of images that are the same, PSNR in dB, or the dark channel, differ by less."""


def _hazy(result: Score | NoReference) -> tuple[_Place, float]:
    """Which image it is, and a figure that tells it from others."""
    if isinstance(result, NoReference):
        return (result.data, "", result.image), result.dark_channel
    return (result.data, result.protocol, result.image), result.figures["psnr"]


_OF_WHAT = ("data", "protocol", "system", "scene", "image")
