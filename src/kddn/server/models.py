"""The models that a server offers."""

import threading
from pathlib import Path

from kddn.dehazer import Dehazer
from kddn.errors import ModelError
from kddn.inference.models import Model, find_model, list_models
from kddn.machine import cores
from kddn.server.problems import ProblemError
from kddn.server.settings import Settings

_MOST_THREADS = 16
"""That a model's network has: each model has its own, and a service may have but so many."""


class Models:
    """Dehazers by name, each made when it is first asked for. Threads may share it.

    Args:
        settings: Which, and for pictures of what size.

    Raises:
        ModelError: If there is no such model, or two of one name.
    """

    def __init__(self, settings: Settings) -> None:
        trained = tuple(model.name for model in list_models() if model.path)
        asked = settings.models or trained
        self._settings = settings
        self._sources: dict[str, str | Path] = {}
        for each in asked:
            name = find_model(each).name
            if self._sources.setdefault(name, each) != each:
                raise ModelError(f"{self._sources[name]} and {each} are both called {name}; rename")
        self._open: dict[str, Dehazer] = {}
        self._lock = threading.Lock()
        self.default = next(iter(self._sources))
        """What is used when none is named."""

    @property
    def ready(self) -> bool:
        """Whether the default model is open."""
        return self.default in self._open

    def list(self) -> list[Model]:
        """What is offered, the default first."""
        return [find_model(source) for source in self._sources.values()]

    def check(self, name: str | None) -> str:
        """The name of a model that is offered; the default's for none.

        Raises:
            ProblemError: If it is not.
        """
        chosen = self.default if name is None else name
        if chosen not in self._sources:
            known = ", ".join(self._sources)
            raise ProblemError(404, "no-model", f"there is no model {name!r} here", f"use {known}")
        return chosen

    def dehazer(self, name: str) -> Dehazer:
        """The dehazer of a model that is offered.

        Raises:
            ModelError: If it cannot be opened.
        """
        with self._lock:
            if name not in self._open:
                settings = self._settings
                self._open[name] = Dehazer(
                    self._sources[name],
                    settings.device,
                    max_pixels=settings.max_pixels,
                    threads=min(cores(), _MOST_THREADS),
                )
            return self._open[name]
