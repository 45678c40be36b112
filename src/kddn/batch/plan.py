"""What to do and where the results go: files, folders, patterns, manifests, templates."""

import codecs
import glob
import itertools
import os
import re
import stat
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter

from kddn.dehazer import SUFFIX
from kddn.errors import KddnError
from kddn.io import files
from kddn.video.dehaze import is_video
from kddn.video.transcode import CONTAINERS

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
    problem: str = ""
    """Why it cannot be done, where that is known: of a folder that cannot be read."""


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
                raise KddnError(
                    f"`output` has {{{name}}}, but there are only {known}; double the braces of "
                    f"a name that has some, as {{{{{name}}}}}"
                )
        if self.format is not None:
            self._check_format(f".{self.format.lstrip('.').lower()}")

    def _check_format(self, ending: str) -> None:
        if ending not in files.readable_endings() | set(CONTAINERS):
            raise KddnError(f"no picture's or video's format ends in {ending!r}; use jpg or png")

    def _placeholders(self) -> list[str]:
        try:
            parts = list(Formatter().parse(self.output or ""))
        except ValueError as error:
            raise KddnError(f"`output` {self.output!r} is no template ({error})") from error
        for _, name, specification, conversion in parts:
            if specification or conversion:
                raise KddnError(
                    f"`output` asks for {{{name}}} in a format of its own; write {{{name}}} alone"
                )
        return [name for _, name, _, _ in parts if name is not None]

    @property
    def _folder(self) -> str:
        """The output where it is no template: a name's own braces are doubled."""
        return (self.output or "").format()

    def is_result(self, path: Path, folder: Path) -> bool:
        """Whether a file that was found in a folder is there as a result."""
        if any(added and path.stem.endswith(added) for added in (self.suffix, SUFFIX, COMPARED)):
            return True
        if not self.output:
            return False
        if self._placeholders():
            fixed = next(text for text, *_ in Formatter().parse(self.output))  # before the first
            if not Path(fixed + "_").parent.name:
                return False  # no folder is told by it
            results = _absolute(Path(fixed + "_").parent)
        else:
            results = _absolute(Path(self._folder))
        # That a folder of pictures gets the results too says nothing.
        return _absolute(folder) in results.parents and results in _absolute(path).parents

    def without_results(self, found: Iterable[Path], folder: Path) -> Iterator[Path]:
        """Those of the files found in a folder that are not there as results."""
        others = [path for path in found if not self.is_result(path, folder)]
        made: set[Path] = set()
        if self._placeholders():
            made = {place for path in others if (place := self._by_template(path)) != path}
        yield from (path for path in others if path not in made)

    def jobs(self, found: "Found") -> list[Job]:
        """Where each picture's result goes: no two to the same place, and none over a picture.

        Raises:
            KddnError: If one would nevertheless.
        """
        pictures: Iterable[Path] = found.pictures
        if self.in_place:  # which two names of one file would have done twice
            first: dict[str, Path] = {}
            for path in pictures:
                first.setdefault(os.path.realpath(path), path)
            pictures = first.values()
        jobs = [Job(source, self._place(source, found)) for source in pictures]
        times = Counter(_as_stored(job.output) for job in jobs)
        # photo.jpg and photo.png both become .png: the old endings tell them apart. Both keep
        # theirs: the short name may be what an earlier run made of one of them alone.
        jobs = [
            Job(job.source, job.output.with_stem(job.output.stem + job.source.suffix))
            if times[_as_stored(job.output)] > 1 and self.format
            else job
            for job in jobs
        ]
        places: dict[str, Path] = {}
        sources = {os.path.realpath(job.source): job.source for job in jobs}
        for job in jobs:
            if not self.in_place and _is_same(job.output, job.source):
                raise KddnError(
                    f"{job.source} would be replaced by its result; name another `output`, "
                    "or say `in_place`"
                )
            lost = sources.get(os.path.realpath(job.output), job.source)
            if lost != job.source and not self.in_place:
                raise KddnError(
                    f"{lost}, a picture too, would be replaced by the result of {job.source}; name "
                    "another `output` or `suffix`"
                )
            other = places.setdefault(_as_stored(job.output), job.source)
            if other != job.source:
                raise KddnError(
                    f"{other} and {job.source} would both become {job.output}; "
                    "use {folder} and {stem} in `output`"
                )
        return [
            *jobs,
            *(Job(path, path, problem=cause) for path, cause in found.unreadable.items()),
        ]

    def _place(self, source: Path, found: "Found") -> Path:
        if self.in_place:
            return source
        ending = self._ending(source)
        if not self.output:
            return source.with_name(f"{source.stem}{self.suffix}{ending}")
        if self._placeholders():
            return self._by_template(source)
        output = Path(self._folder)
        if found.single and not (output.is_dir() or self.output.endswith(("/", os.sep))):
            if self.format and output.suffix.lower() not in ("", ending.lower()):
                raise KddnError(
                    f"`output` {output} and `format` {self.format} contradict each other; leave "
                    "out one"
                )
            return output.with_suffix(ending) if self.format else output
        return output / Path(os.path.relpath(source, found.base)).with_suffix(ending)

    def _by_template(self, source: Path) -> Path:
        names = {"folder": source.parent, "stem": source.stem, "model": self.model}
        return Path((self.output or "").format(**names, suffix=self._ending(source)))

    def _ending(self, source: Path) -> str:
        """That of a result: another format is for the pictures or for the videos, not for both."""
        ending = f".{self.format.lstrip('.')}" if self.format else source.suffix
        return ending if is_video(Path(f"x{ending}")) == is_video(source) else source.suffix


def _as_stored(path: Path) -> str:
    """What names are told by: on macOS and Windows not by case, nor by the form of accents."""
    if sys.platform not in ("darwin", "win32"):
        return str(path)
    return unicodedata.normalize("NFC", str(path)).casefold()


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, whatever they are written like."""
    try:
        return one == other or one.samefile(other)
    except OSError:  # one of them is not there, or not to be seen
        return False


@dataclass(frozen=True)
class Found:
    """Picture files, and what their tree is mirrored from."""

    pictures: list[Path]
    base: Path
    """The deepest folder that all arguments lie in."""
    single: bool
    """Whether one file was asked for by its name."""
    unreadable: dict[Path, str] = field(default_factory=dict)
    """Folders that could not be looked into, and why."""


def find(
    arguments: Sequence[str],
    destination: Destination | None = None,
    *,
    recursive: bool = False,
    listed: Sequence[str] = (),
) -> Found:
    """Find picture files by files, folders and glob patterns.

    Folders give the pictures in them, and with `recursive` those in their folders too, but not
    earlier results, nor hidden files; patterns give no earlier results either. Files that are asked
    for by name are taken as they are.

    Args:
        arguments: Files, folders and patterns.
        destination: Where results go, by which they are told.
        recursive: Whether to go into the folders of folders.
        listed: Files that a list names: as they are, and even one goes to a folder.

    Raises:
        KddnError: If a name is empty, a pattern matches nothing, or there is no picture at all.
    """
    destination = destination or Destination()
    pictures: list[Path] = []
    bases: list[Path] = []
    unreadable: dict[Path, str] = {}
    names = set(listed)
    if "" in arguments:
        raise KddnError("an empty name is no picture's; look at the variable that it comes from")
    for argument in (*arguments, *listed):
        path = Path(argument)
        if os.path.isdir(path):  # noqa: PTH112 - which does not mind what may not be seen
            pictures += pictures_of(path, destination, recursive=recursive, unreadable=unreadable)
            bases.append(path)
        elif argument in names or os.path.lexists(path) or not glob.has_magic(argument):
            pictures.append(path)
            bases.append(path.parent)
        else:
            matching = _matches(argument, destination)
            pictures += matching
            bases += [match.parent for match in matching]
    unique = list(dict.fromkeys(pictures))
    if not unique and not unreadable:
        hint = "" if recursive else "; say `recursive` for those in their folders"
        raise KddnError(f"there are no pictures in {', '.join([*arguments, *listed])}{hint}")
    try:
        base = Path(os.path.commonpath([_absolute(base) for base in bases]))
    except ValueError as error:  # several drives
        raise KddnError(f"the pictures have no folder in common ({error})") from error
    single = not listed and len(arguments) == 1 and unique == [Path(arguments[0])]
    return Found(unique, base, single, unreadable)


def _matches(pattern: str, destination: Destination) -> list[Path]:
    """The files that a pattern matches, but for earlier results.

    Raises:
        KddnError: If it matches none.
    """
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - absolute ones too
    there = [match for match in sorted(map(Path, found)) if match.is_file()]
    matching = list(destination.without_results(there, _fixed_part(pattern)))
    if not matching:
        raise KddnError(f"{pattern} matches no file but earlier results")
    return matching


def pictures_of(
    folder: Path,
    destination: Destination,
    *,
    recursive: bool,
    unreadable: dict[Path, str] | None = None,
) -> Iterator[Path]:
    """Pictures and videos of a folder by name, without hidden files and results.

    Args:
        folder: Where to look.
        destination: Where results go, by which they are told.
        recursive: Whether to go into its folders, but not through links to others.
        unreadable: Gets the folders that cannot be looked into, and why.
    """
    endings = files.readable_endings() | set(CONTAINERS)

    def note(error: OSError) -> None:
        if unreadable is not None:
            unreadable[Path(error.filename)] = f"the folder cannot be read ({error.strerror})"

    found = []
    for place, folders, names in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    named = [path for path in sorted(found) if path.suffix.lower() in endings]
    yield from filter(_may_be_file, destination.without_results(named, folder))


def _may_be_file(path: Path) -> bool:
    """Whether a path is a file, or may not be looked at, which its row is to say."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _fixed_part(pattern: str) -> Path:
    """The folder that all files lie in that a pattern matches."""
    parts = Path(pattern).parts
    return Path(*itertools.takewhile(lambda part: not glob.has_magic(part), parts))


def _absolute(path: Path) -> Path:
    """Not resolved: a link is where it lies, not where it leads."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def read_manifest(path: Path) -> list[str]:
    """Picture files that a text file lists, one a line, relative to its own folder.

    UTF-8 or, with its byte-order mark, UTF-16; bytes that are neither stand for themselves, as in
    names of files. Empty lines do not count, nor do those that begin with `#`, unless there is a
    file of that name. With bytes of 0 between them, as `find -print0` writes them, names may have
    anything else in them.

    Raises:
        KddnError: If it cannot be read or lists none.
    """
    try:
        piped = path == Path("/dev/stdin")  # which cannot be opened everywhere
        content = sys.stdin.buffer.read() if piped else path.read_bytes()
    except OSError as error:
        raise KddnError(f"{path} cannot be read as a list of files ({error.strerror})") from error
    folder = Path() if piped else path.parent
    if b"\0" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return [str(folder / os.fsdecode(name)) for name in content.split(b"\0") if name]
    listed = [
        str(folder / name)
        for line in re.split(r"\r\n?|\n", _text(content))  # names may have other separators
        if (name := line if os.path.lexists(folder / line) else line.strip())
        and (not name.startswith("#") or os.path.lexists(folder / name))
    ]
    if not listed:
        raise KddnError(f"{path} lists no pictures; write one file name a line")
    return listed


def _text(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    return os.fsdecode(content.removeprefix(codecs.BOM_UTF8))
