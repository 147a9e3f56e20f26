"""Health of a running server at ``GET /health``: state, indexes, load."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from indexer.search.live import LiveGeolocator


@dataclass(frozen=True)
class Health:
    """What can be told of a running server; cheap enough to be asked every second."""

    engine: Engine
    started: float = field(default_factory=time.monotonic)
    """When it came up, by the monotonic clock."""

    def report(self, *, trusted: bool) -> dict[str, Any]:
        """The state as plain JSON types.

        Args:
            trusted: whether who asks may know more than that the server is up. Monitors need no
                password for that; names of indexes and builds are for those who have it.
        """
        brief = {"status": "stopping" if self.engine.stopping else "ok"}
        if not trusted:
            return brief
        load = self.engine.load
        passes, photos = self.engine.encoded
        opened = self.engine.indexes.open_now()
        return {
            **brief,
            "version": app_version(),
            "uptime_s": round(time.monotonic() - self.started, 1),
            "indexes": [_facts(name, opened.get(name)) for name in self.engine.names()],
            "queue": {"inside": load.inside, "most": load.most, "refused": load.refused},
            "answered": load.answered,
            "encoder": {"passes": passes, "photos": photos},
        }


def _facts(name: str, live: LiveGeolocator | None) -> dict[str, Any]:
    """One index; of one that nobody asked for yet only the name."""
    geo = live.current() if live else None
    return {
        "name": name,
        "open": geo is not None,
        "build": geo and geo.index.manifest.build,
        "cells": geo and len(geo.index.cells),
        "model": geo and geo.model_name,
        "calibrated": geo and geo.calibration is not None,
        "problem": live and (live.problem or None),
    }


def app_version() -> str:
    """The version of this package; "unknown" where it is not installed."""
    try:
        return version("gair-geolocator")
    except PackageNotFoundError:
        return "unknown"
