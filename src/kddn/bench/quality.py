"""How good systems are, on a part of a data set: what time is weighed against."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from kddn import Dehazer
from kddn.bench.tasks import System
from kddn.errors import DataError
from kddn.research.data.sets import Case, find_data_set
from kddn.research.evaluation import systems as judged
from kddn.research.evaluation.evaluate import score
from kddn.research.evaluation.reports import markdown
from kddn.research.evaluation.rows import write_rows
from kddn.research.evaluation.scores import Score, Summary, summarize

HAZY = "hazy"
"""The input as it is."""


def measure_quality(
    systems: Sequence[System], data: Mapping[str, Path], *, every: int, output: Path
) -> dict[str, dict[str, float]]:
    """PSNR and SSIM by protocol `full`, written as `quality.csv` and `quality.md`.

    Args:
        systems: What to measure; of compared systems, those that have weights. A model is the
            same in every engine.
        data: Data sets of `kddn.research.data.sets`, each with its folder.
        every: Of each set's images, each how-manieth is used.
        output: Folder of the files.

    Returns:
        Mean PSNR in dB, by system and data set.
    """
    by_name = dict(_systems(systems))
    found = score(by_name, _cases(data, every))
    summaries = summarize([each for each in found if isinstance(each, Score)])
    write_rows(output / "quality.csv", summaries)
    (output / "quality.md").write_text(markdown(summaries))
    return _by_system(summaries)


def check_data(data: Mapping[str, Path]) -> None:
    """See that there is something of each data set, with targets.

    Raises:
        DataError: If there is no such set, nothing of it in its folder, or nothing to compare with.
    """
    for name, root in data.items():
        case = next(find_data_set(name).cases(root), None)
        if case is not None and case.clean is None:
            raise DataError(f"{name} has no targets, which quality needs; name another data set")


def _systems(systems: Sequence[System]) -> Iterator[tuple[str, judged.System]]:
    yield HAZY, lambda hazy: hazy
    for system in systems:
        if system.kind in ("model", "prior"):
            yield system.name, judged.runtime_system(Dehazer(system.name))
        elif system.weights is not None:
            yield system.name, judged.network_system(system.weights)


def _cases(data: Mapping[str, Path], every: int) -> Iterator[Case]:
    for name, root in data.items():
        yield from islice(find_data_set(name).cases(root), 0, None, every)


def _by_system(summaries: Sequence[Summary]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in summaries:
        found.setdefault(row.system, {})[row.data] = row.figures["psnr"].mean
    return found
