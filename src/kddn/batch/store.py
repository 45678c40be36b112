"""Folders here or on a server (S3, GCS, whatever fsspec can reach), and the files in them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from kddn.batch.plan import Destination
from kddn.errors import KddnError
from kddn.io.writing import write


@dataclass(frozen=True)
class Store:
    """A folder by its address: a path, or such as `s3://bucket/folder`."""

    address: str
    """What a person calls the folder: its whole path, or as it was given."""
    system: Any
    """Of fsspec."""
    root: str
    """What the system calls the folder."""

    @classmethod
    def open(cls, address: str) -> "Store":
        """The store of an address, which need not be there yet.

        Raises:
            KddnError: If nothing installed reaches such addresses.
        """
        try:
            system, root = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise KddnError(f"{address} cannot be reached ({error})") from error
        root = root.rstrip("/")
        return cls(
            root if isinstance(system, LocalFileSystem) else address.rstrip("/"), system, root
        )

    @property
    def is_local(self) -> bool:
        """Whether its files are files of this machine, or of one that it has mounted."""
        return isinstance(self.system, LocalFileSystem)

    @property
    def place(self) -> str:
        """The folder, whatever links lead to it."""
        return os.path.realpath(self.root) if self.is_local else self.root

    def path(self, name: str) -> str:
        """What the system calls a file."""
        return f"{self.root}/{name}"

    def label(self, name: str) -> str:
        """What a person calls a file."""
        return f"{self.address}/{name}"

    def names(self) -> list[str]:
        """Its files in all folders, relative to it, sorted; none where it does not exist.

        Raises:
            KddnError: If it is a file, or cannot be listed.
        """
        try:
            self.system.invalidate_cache()
            found = self.system.find(self.root)
        except Exception as error:  # each system has errors of its own
            raise KddnError(
                f"{self.address} cannot be listed ({type(error).__name__}: {error}); check the "
                "address, and what may be read with these credentials"
            ) from error
        if found == [self.root]:
            raise KddnError(f"{self.address} is a file; give the folder that it is in")
        return sorted(path.removeprefix(f"{self.root}/") for path in found)

    def pictures(self, endings: set[str]) -> list[str]:
        """Its files of some endings, but no hidden files and no earlier results."""
        results = Destination()
        return [
            name
            for name in self.names()
            if PurePosixPath(name).suffix.lower() in endings
            and not any(part.startswith(".") for part in PurePosixPath(name).parts)
            and not results.is_result(Path(name), Path())
        ]

    def read(self, name: str) -> str:
        """A text of it."""
        return str(self.system.cat_file(self.path(name)).decode())

    def write(self, name: str, text: str) -> None:
        """Write a text whole or not at all."""
        if self.is_local:
            write(text.encode(), Path(self.path(name)), overwrite=True)
        else:
            self.system.pipe_file(self.path(name), text.encode())

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """A file of it as one of this machine."""
        if self.is_local:
            yield Path(self.path(name))
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, PurePosixPath(name).name)
            self.system.get_file(self.path(name), str(copy))
            yield copy

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path of this machine; the file that is there in the end becomes one of the store."""
        if self.is_local:
            yield Path(self.path(name))
            return
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder, PurePosixPath(name).name)
            yield made
            if made.exists():
                self.system.put_file(str(made), self.path(name))
