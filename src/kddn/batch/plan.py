"""What to do and where the results go: files, folders, patterns, manifests, templates."""

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from kddn.dehazer import SUFFIX
from kddn.errors import KddnError
from kddn.io import files
from kddn.video.dehaze import CONTAINERS

COMPARED = "-compared"
"""What is added to a file's name for the picture that shows before and after."""

_PLACEHOLDERS = ("folder", "stem", "suffix", "model")


@dataclass(frozen=True)
class Job:
    """One picture file to remove haze from."""

    source: Path
    output: Path
    again: bool = False
    """Whether the picture has changed since its last result, which is replaced then."""


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where results go. Without anything said, beside each picture, as `photo-dehazed.jpg`."""

    output: str | None = None
    """A file for one picture, a folder for several, whose tree is mirrored there; or a template
    with `{folder}`, `{stem}`, `{suffix}` or `{model}`."""
    suffix: str = SUFFIX
    """What is added to names where there is no output."""
    format: str | None = None
    """Ending of another format, such as `png`."""
    in_place: bool = False
    """Whether results replace their pictures."""
    model: str = ""
    """What `{model}` stands for."""

    def __post_init__(self) -> None:
        if self.in_place and (self.output or self.format):
            raise KddnError("`in_place` says where results go; leave out `output` and `format`")
        if not self.in_place and not self.output and not self.suffix:
            raise KddnError("an empty `suffix` would replace the pictures; say `in_place` for that")
        if Path(self.suffix).name != self.suffix and self.suffix:
            raise KddnError(f"`suffix` {self.suffix!r} is no part of a file's name")
        for name in self._placeholders():
            if name not in _PLACEHOLDERS:
                known = ", ".join(f"{{{placeholder}}}" for placeholder in _PLACEHOLDERS)
                raise KddnError(f"`output` has {{{name}}}, but there are only {known}")

    def _placeholders(self) -> list[str]:
        try:
            return [
                name for _, name, _, _ in Formatter().parse(self.output or "") if name is not None
            ]
        except ValueError as error:
            raise KddnError(f"`output` {self.output!r} is no template ({error})") from error

    def is_result(self, path: Path, folder: Path) -> bool:
        """Whether a file that was found in a folder is there as a result."""
        if any(added and path.stem.endswith(added) for added in (self.suffix, SUFFIX, COMPARED)):
            return True
        if not self.output:
            return False
        fixed = Path(self.output.partition("{")[0] + "_").parent
        results = _absolute(fixed if self._placeholders() else Path(self.output))
        # That a folder of pictures gets the results too says nothing.
        return _absolute(folder) in results.parents and results in _absolute(path).parents

    def jobs(self, found: "Found") -> list[Job]:
        """Where each picture's result goes: no two to the same place, and none over its picture.

        Raises:
            KddnError: If one would nevertheless.
        """
        sources = found.pictures
        jobs = [Job(source, self._place(source, found)) for source in sources]
        twice = {path for path, times in Counter(job.output for job in jobs).items() if times > 1}
        # photo.jpg and photo.png both become .png: the old ending tells them apart.
        jobs = [
            Job(job.source, job.output.with_stem(job.output.stem + job.source.suffix))
            if job.output in twice and job.source.suffix != job.output.suffix
            else job
            for job in jobs
        ]
        places: dict[Path, Path] = {}
        for job in jobs:
            if not self.in_place and _is_same(job.output, job.source):
                raise KddnError(
                    f"{job.source} would be replaced by its result; name another `output`, "
                    "or say `in_place`"
                )
            other = places.setdefault(job.output, job.source)
            if other != job.source:
                raise KddnError(
                    f"{other} and {job.source} would both become {job.output}; "
                    "use {folder} and {stem} in `output`"
                )
        return jobs

    def _place(self, source: Path, found: "Found") -> Path:
        if self.in_place:
            return source
        ending = f".{self.format.lstrip('.')}" if self.format else source.suffix
        if not self.output:
            return source.with_name(f"{source.stem}{self.suffix}{ending}")
        if self._placeholders():
            return Path(
                self.output.format(
                    folder=source.parent, stem=source.stem, suffix=ending, model=self.model
                )
            )
        output = Path(self.output)
        if found.single and not (output.is_dir() or self.output.endswith(("/", os.sep))):
            return output.with_suffix(ending) if self.format else output
        return output / Path(os.path.relpath(source, found.base)).with_suffix(ending)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, whatever they are written like."""
    return one == other or (one.exists() and other.exists() and one.samefile(other))


@dataclass(frozen=True)
class Found:
    """Picture files, and what their tree is mirrored from."""

    pictures: list[Path]
    base: Path
    """The deepest folder that all arguments lie in."""
    single: bool
    """Whether one file was asked for by its name."""


def find(
    arguments: Sequence[str], destination: Destination | None = None, *, recursive: bool = False
) -> Found:
    """Find picture files by files, folders and glob patterns.

    Folders give the pictures in them, and with `recursive` those in their folders too, but not
    earlier results, nor hidden files; patterns give no earlier results either. Files that are asked
    for by name are taken as they are.

    Args:
        arguments: Files, folders and patterns.
        destination: Where results go, by which they are told.
        recursive: Whether to go into the folders of folders.

    Raises:
        KddnError: If a pattern matches nothing, there is no picture at all, or a folder cannot be
            read.
    """
    destination = destination or Destination()
    pictures: list[Path] = []
    bases: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            pictures += pictures_of(path, destination, recursive=recursive)
            bases.append(path)
        elif path.exists() or not glob.has_magic(argument):
            pictures.append(path)
            bases.append(path.parent)
        else:
            found = glob.glob(argument, recursive=True)  # noqa: PTH207 - absolute ones too
            matches = sorted(Path(match) for match in found)
            matching = [
                match
                for match in matches
                if match.is_file() and not destination.is_result(match, _fixed_part(argument))
            ]
            if not matching:
                raise KddnError(f"{argument} matches no file but earlier results")
            pictures += matching
            bases += [match.parent for match in matching]
    unique = list(dict.fromkeys(pictures))
    if not unique:
        hint = "" if recursive else "; say `recursive` for those in their folders"
        raise KddnError(f"there are no pictures in {', '.join(arguments)}{hint}")
    try:
        base = Path(os.path.commonpath([_absolute(base) for base in bases]))
    except ValueError as error:  # several drives
        raise KddnError(f"the pictures have no folder in common ({error})") from error
    single = len(arguments) == 1 and unique == [Path(arguments[0])]
    return Found(unique, base, single)


def pictures_of(folder: Path, destination: Destination, *, recursive: bool) -> Iterator[Path]:
    """Pictures and videos of a folder by name, without hidden files and results.

    Raises:
        KddnError: If the folder cannot be read.
    """
    endings = files.readable_endings() | set(CONTAINERS)
    try:
        inside = sorted(folder.rglob("*") if recursive else folder.iterdir())
    except OSError as error:
        raise KddnError(f"{folder} cannot be read ({error.strerror})") from error
    for path in inside:
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() not in endings or hidden or destination.is_result(path, folder):
            continue
        if path.is_file():
            yield path


def _fixed_part(pattern: str) -> Path:
    """The folder that all files lie in that a pattern matches."""
    parts = Path(pattern).parts
    return Path(*itertools.takewhile(lambda part: not glob.has_magic(part), parts))


def _absolute(path: Path) -> Path:
    """Not resolved: a link is where it lies, not where it leads."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def read_manifest(path: Path) -> list[str]:
    """Picture files that a text file lists, one a line, relative to its own folder.

    Raises:
        KddnError: If it cannot be read or lists none.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise KddnError(f"{path} cannot be read as a list of files ({error})") from error
    listed = [str(path.parent / line) for line in lines if line and not line.startswith("#")]
    if not listed:
        raise KddnError(f"{path} lists no pictures; write one file name a line")
    return listed
