"""What a data set is: files by their original names, what is wrong with them, and cases."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from kddn.errors import DataError
from kddn.research.data.paired import PairFiles, fits, read_parts, split_parts
from kddn.research.data.pixels import (
    check_picture,
    list_pictures,
    names_of,
    read_pixels,
    upright_size,
)

Size = tuple[int, int]
"""Width and height."""


@dataclass(frozen=True)
class Case:
    """One image to remove haze from."""

    data: str
    """The set it belongs to."""
    scene: str
    """What it shows; intervals resample scenes, whose images go well or badly together."""
    name: str
    """Its own name."""
    hazy: Tensor
    """`1 3 h w` in [0, 1]."""
    clean: Tensor | None
    """The target, as large, where there is one."""


@dataclass(frozen=True)
class Names:
    """How files of one kind are called: regular expressions, without regard to case."""

    folder: str
    """Of the folder, relative to the data set's."""
    name: str
    """Of the file. Its group `scene` tells what belongs together; `prefix`, where nothing has the
    same scene; `haze` tells the hazy images of a scene apart; `airlight` is a number."""

    def match(self, path: Path) -> re.Match[str] | None:
        """The groups of a relative path, if it is one of these."""
        if self.holds(path.parent):
            return re.fullmatch(self.name, path.name, re.IGNORECASE)
        return None

    def holds(self, folder: Path) -> bool:
        """Whether files of this kind may lie in a relative folder."""
        return re.fullmatch(self.folder, folder.as_posix(), re.IGNORECASE) is not None


ANY_PICTURE = Names(r".*", r"(?P<scene>.+)\.\w+")
"""Any picture anywhere."""

Kind = Literal["missing", "misnamed", "extra", "wrong size", "unreadable"]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data set's files."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class _Listing:
    """Files of a folder, by what they are."""

    hazy: list[tuple[Path, dict[str, str]]]
    clean: dict[str, Path]
    by_prefix: dict[str, Path]
    """Clean images for hazy ones of which none has the same scene."""
    transmission: dict[tuple[str, str], Path]
    double: list[Path]
    """Clean images of a scene that has another."""
    strange: list[Path]
    """Pictures among the others whose names are nobody's."""

    def clean_of(self, groups: dict[str, str]) -> Path | None:
        """The target of a hazy image, by what its name says."""
        return self.clean.get(groups["scene"]) or self.by_prefix.get(groups.get("prefix", ""))


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Hazy images with their targets in files, as they are published."""

    name: str
    """What it is asked for by."""
    summary: str
    """One sentence."""
    licence: str
    """Who may use it for what."""
    source: str
    """Where it is to be had."""
    example: str
    """How its files are called."""
    hazy: Names
    clean: Names | None = None
    """None where there is no ground truth."""
    transmission: Names | None = None
    scenes: Sequence[str] | None = None
    """All scenes that it must have; None where their names are not known."""
    hazes: Sequence[str] = ("",)
    """All hazy images that a scene must have."""
    judged: Sequence[str] | None = None
    """The scenes to judge by; all by default."""
    ignored: Names | None = None
    """What else it brings, of no use here."""
    count: int | None = None
    """How many hazy images it must have, where their names are not known."""
    size: Size | None = None
    """Of the hazy images; None where they differ."""

    def find(self, root: Path, scenes: Iterable[str] | None = None) -> list[PairFiles]:
        """List its images, in the order of their names and numbers.

        Args:
            root: Its folder.
            scenes: Only these; all by default.

        Raises:
            DataError: If there are none, a name is not the set's, a scene that was asked for is not
                there, or the clean image of a hazy one is missing.
        """
        listing = self._list(root)
        if listing.strange:
            raise DataError(
                f"{listing.strange[0]} is not named as {self.name}'s images are ({self.example}); "
                f"kddn data check {self.name} {root} lists all such"
            )
        if not listing.hazy:
            raise DataError(self._nothing(root))
        wanted = None if scenes is None else list(scenes)
        found = []
        for path, groups in listing.hazy:
            if wanted is not None and groups["scene"] not in wanted:
                continue
            clean = listing.clean_of(groups)
            if clean is None and self.clean is not None:
                raise DataError(
                    f"the clean image of {path} is missing ({self.example}); "
                    f"it comes from {self.source}"
                )
            t = listing.transmission.get((groups["scene"], groups.get("haze", "")))
            airlight = float(groups["airlight"]) if groups.get("airlight") else None
            found.append(PairFiles(groups["scene"], path, clean, t, airlight))
        if lacking := set(wanted or ()) - {files.scene for files in found}:
            raise DataError(
                f"scene {min(lacking)} of {self.name} is missing in {root} ({self.example}); "
                f"it comes from {self.source}"
            )
        return found

    def cases(self, root: Path) -> Iterator[Case]:
        """All images to judge by.

        Raises:
            DataError: As `find` does, if no scene to judge by is there, or if a file cannot be
                read.
        """
        found = self.find(root)
        if self.judged is not None and not {files.scene for files in found} & {*self.judged}:
            raise DataError(
                f"{root} has none of the scenes that {self.name} is judged by "
                f"({', '.join(self.judged)}); they come from {self.source}"
            )
        names = names_of((files.hazy for files in found), root)
        scenes = names_of({files.clean for files in found if files.clean is not None}, root)
        for files in found:
            if self.judged is not None and files.scene not in self.judged:
                continue
            name = names[files.hazy]
            if files.clean is None:
                pixels = torch.from_numpy(read_pixels(files.hazy, "RGB")).permute(2, 0, 1)[None]
                yield Case(self.name, name, name, pixels.float() / 255, None)
                continue
            pair = split_parts(read_parts(files)[None])
            yield Case(self.name, scenes[files.clean], name, pair.hazy, pair.clean)

    def check(self, root: Path) -> Iterator[Problem | None]:
        """Look at every file: a problem, or None for one that is as it should be.

        Raises:
            DataError: If there is nothing of the set in the folder.
        """
        listing = self._list(root)
        if not (listing.hazy or listing.clean or listing.strange):
            raise DataError(self._nothing(root))
        for path in listing.strange:
            yield Problem("misnamed", f"{path}: {self.name}'s images are called {self.example}")
        yield from self._absent(listing)
        yield from self._extra(listing)
        with ThreadPoolExecutor() as threads:
            yield from threads.map(
                lambda item: self._look_at_hazy(item[0], item[1], listing), listing.hazy
            )
            others = [*listing.clean.values(), *listing.transmission.values()]
            yield from threads.map(_read_error, dict.fromkeys(others))

    def _list(self, root: Path) -> _Listing:
        hazy: list[tuple[Path, dict[str, str]]] = []
        clean: dict[str, Path] = {}
        prefixes = defaultdict[str, list[Path]](list)
        transmission: dict[tuple[str, str], Path] = {}
        double: list[Path] = []
        strange: list[Path] = []
        kinds = [names for names in (self.hazy, self.clean, self.transmission) if names is not None]
        for path in list_pictures(root):
            relative = path.relative_to(root)
            if match := self.hazy.match(relative):
                hazy.append((path, match.groupdict(default="")))
            elif self.clean and (match := self.clean.match(relative)):
                if match["scene"] in clean:
                    double.append(path)
                    continue
                clean[match["scene"]] = path
                if prefix := match.groupdict().get("prefix"):
                    prefixes[prefix].append(path)
            elif self.transmission and (match := self.transmission.match(relative)):
                transmission[match["scene"], match.groupdict(default="").get("haze", "")] = path
            elif self.ignored and self.ignored.match(relative):
                continue
            elif any(names.holds(relative.parent) for names in kinds):
                strange.append(path)
        hazy.sort(key=lambda item: _natural(item[0].name))
        # What is before the `_` tells only where it is one clean image's, and that one no other's.
        named = {groups["scene"] for _, groups in hazy}
        alone = {prefix: paths[0] for prefix, paths in prefixes.items() if len(paths) == 1}
        taken = {path for scene, path in clean.items() if scene in named}
        by_prefix = {prefix: path for prefix, path in alone.items() if path not in taken}
        return _Listing(hazy, clean, by_prefix, transmission, double, strange)

    def _nothing(self, root: Path) -> str:
        if not root.is_dir():
            return f"{root} is not a folder; {self.name} comes from {self.source}"
        for path in list_pictures(root):
            parts = path.relative_to(root).parts
            for depth in range(1, len(parts)):
                if self.hazy.match(Path(*parts[depth:])):
                    inner = root.joinpath(*parts[:depth])
                    return f"{self.name} lies deeper in {root}; give {inner}"
        return (
            f"{root} holds no images called as {self.name}'s ({self.example}); "
            f"it comes from {self.source}"
        )

    def _absent(self, listing: _Listing) -> Iterator[Problem]:
        there = {(groups["scene"], groups.get("haze", "")) for _, groups in listing.hazy}
        for scene in self.scenes or ():
            for haze in self.hazes:
                if (scene, haze) not in there:
                    yield Problem("missing", f"{_image(scene, haze)} ({self.example})")
            if self.clean and scene not in listing.clean:
                yield Problem("missing", f"clean scene {scene} ({self.example})")
        if self.count is not None and len(listing.hazy) < self.count:
            lacking = self.count - len(listing.hazy)
            yield Problem("missing", f"{lacking:,} of {self.count:,} hazy images")

    def _extra(self, listing: _Listing) -> Iterator[Problem]:
        for path in listing.double:
            yield Problem(
                "extra", f"{path}: another clean image has this name, and is the one used"
            )
        if self.count is not None and len(listing.hazy) > self.count:
            more = len(listing.hazy) - self.count
            yield Problem("extra", f"{more:,} hazy images beside {self.count:,}")
        used = {listing.clean_of(groups) for _, groups in listing.hazy}
        for path in dict.fromkeys(listing.clean.values()):
            if path not in used:
                yield Problem("extra", f"{path}: a clean image without a hazy one")
        for path, groups in listing.hazy:
            if self.scenes is not None and groups["scene"] not in self.scenes:
                yield Problem("extra", f"{path}: {self.name} has no scene {groups['scene']}")
            elif self.hazes != ("",) and groups["haze"] not in self.hazes:
                yield Problem("extra", f"{path}: {self.name} has no haze {groups['haze']}")
        # Where hazes are not numbered, their airlight tells them apart too.
        airlight = "airlight" if self.hazes == ("",) else "haze"
        twice = Counter((g["scene"], g.get("haze", ""), g.get(airlight)) for _, g in listing.hazy)
        for (scene, haze, _), times in twice.items():
            if times > 1 and self.hazy != ANY_PICTURE:
                yield Problem("extra", f"{_image(scene, haze)} is there {times} times")

    def _look_at_hazy(
        self, path: Path, groups: dict[str, str], listing: _Listing
    ) -> Problem | None:
        """A hazy image, and its sizes beside those of its clean one."""
        if problem := _read_error(path):
            return problem
        size = _size(path)
        assert size is not None
        if self.size is not None and size != self.size:
            return Problem("wrong size", f"{path}: {_by(size)}, not {_by(self.size)}")
        t = listing.transmission.get((groups["scene"], groups.get("haze", "")))
        if t is not None and (of_t := _size(t)) not in (None, size):
            return Problem("wrong size", f"{t}: {_by(of_t)}, but {path.name} is {_by(size)}")
        clean = listing.clean_of(groups)
        if clean is None:
            known = self.scenes is not None and groups["scene"] in self.scenes
            if self.clean is None or known:  # known ones are counted as missing already
                return None
            return Problem("missing", f"the clean image of {path} ({self.example})")
        other = _size(clean)  # whether it is whole is told once, not with each hazy image
        if other is not None and not fits(size, other):
            return Problem("wrong size", f"{path}: {_by(size)}, but {clean.name} is {_by(other)}")
        return None


def _natural(name: str) -> list[tuple[int, str]]:
    """What sorts numbers in names by their value."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _read_error(path: Path) -> Problem | None:
    try:
        check_picture(path)
    except DataError as error:
        return Problem("unreadable", str(error))
    return None


def _size(path: Path) -> Size | None:
    """A picture's size, upright; None if not even that can be read."""
    try:
        return upright_size(path)
    except DataError:
        return None


def _image(scene: str, haze: str) -> str:
    return f"haze {haze} of scene {scene}" if haze else f"hazy scene {scene}"


def _by(size: Size | None) -> str:
    return f"{size[0]}x{size[1]}" if size else "unreadable"
