"""Models in memory: the indexes that one model made share one copy of its weights."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from gair.processes.forks import renew_in_child

if TYPE_CHECKING:
    from gair.model import Gair


class LoadedModels:
    """Models by where they came from, for as long as somebody uses them."""

    def __init__(self) -> None:
        self._models: weakref.WeakValueDictionary[tuple[str, str], Gair]
        self._models = weakref.WeakValueDictionary()
        self._loading = threading.Lock()  # held while weights are read
        renew_in_child(self)

    def get(self, source: str, fingerprint: str) -> Gair:
        """A model from a source, loaded unless one with these weights is in use.

        Args:
            source: as for :meth:`gair.model.Gair.from_pretrained`.
            fingerprint: of the weights that are wanted. What the source holds now may be another
                model: it is for the caller to compare.

        Raises:
            ModelError: it cannot be loaded.
        """
        from gair.model import Gair as GairModel

        with self._loading:
            model = self._models.get((source, fingerprint))
            # Whoever holds it may have trained it on: it is then another model.
            if model is not None and model.fingerprint() == fingerprint:
                return model
            model = GairModel.from_pretrained(source)
            loaded = model.fingerprint()
            same = (m for (_, print_), m in self._models.items() if print_ == loaded)
            model = next((m for m in same if m.fingerprint() == loaded), model)
            self._models[source, loaded] = model
            return model

    def source_of(self, model: Gair) -> str | None:
        """Where a model came from; None for one that was not loaded here."""
        with self._loading:
            return next((s for (s, _), m in self._models.items() if m is model), None)

    def after_fork(self) -> None:
        """The thread that was loading is not in the child."""
        self._loading = threading.Lock()


MODELS = LoadedModels()
"""Those of this process."""
