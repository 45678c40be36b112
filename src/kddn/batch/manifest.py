"""What a destination of many pictures says of itself, so that a stopped run goes on."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from kddn.batch.store import Store
from kddn.errors import KddnError

_FOLDER = ".kddn-batch"
"""Where a destination says what is done."""

_FLUSH_EVERY = 5.0
"""Seconds between two parts of the manifest."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is done with each picture. A destination is of one such."""

    model: str
    """See `Dehazer`."""
    strength: float = 1.0
    """See `Dehazer.__call__`."""
    full_resolution: bool = False
    """See `Dehazer.__call__`."""
    working_size: int | None = None
    """See `Dehazer`."""
    weights: str | None = None
    """Checksum of the model's file."""


class Manifest:
    """What a destination says of itself: how its pictures were made, and which are done.

    Rows as of a report, in parts of a few seconds each, since stores cannot add to a file.
    """

    def __init__(self, destination: Store) -> None:
        self.destination = destination
        self._told: list[str] = []
        self._flushed = time.monotonic()

    def begin(self, source: Store, work: Work, *, overwrite: bool) -> set[str]:
        """Agree on how pictures are made, and of what.

        Returns:
            The files that are done, as their rows call them.

        Raises:
            KddnError: If what is there was made in another way, or not by this command.
        """
        there = self.destination.names()
        settings = f"{_FOLDER}/settings.json"
        now = {"source": source.address, **asdict(work)}
        if settings in there:
            self._agree(now, json.loads(self.destination.read(settings)))
        elif there and not overwrite:
            raise KddnError(
                f"{self.destination.address} has files already; name another destination, or ask "
                "to `overwrite`"
            )
        self.destination.write(settings, json.dumps(now, indent=2) + "\n")
        parts = [name for name in there if name.startswith(f"{_FOLDER}/rows-")]
        texts = (self.destination.read(part) for part in parts)
        rows = (json.loads(line) for text in texts for line in text.split("\n") if line)
        made = {self.destination.label(name) for name in there}  # but for what was removed since
        done = (row for row in rows if row["status"] == "done" and row["output"] in made)
        return {row["input"] for row in done}

    def _agree(self, now: dict[str, Any], before: dict[str, Any]) -> None:
        # Destinations begun by an earlier kddn do not know all of it.
        if differing := [name for name in now if name in before and now[name] != before[name]]:
            cause = ", ".join(f"`{name}` {before[name]}, now {now[name]}" for name in differing)
            raise KddnError(
                f"{self.destination.address} was made in another way ({cause}); name another "
                "destination"
            )

    def add(self, rows: str) -> None:
        """Note the rows of a file."""
        self._told.append(rows)
        if time.monotonic() - self._flushed > _FLUSH_EVERY:
            self.close()

    def close(self) -> None:
        """Write down what has been noted."""
        if self._told:
            self.destination.write(f"{_FOLDER}/rows-{time.time_ns()}.jsonl", "".join(self._told))
        self._told.clear()
        self._flushed = time.monotonic()
