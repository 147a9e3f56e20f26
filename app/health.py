"""``GET /health``: is the server up, what does it serve, and how busy is it?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.engine import Engine


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
            "indexes": [
                {
                    "name": name,
                    "open": name in opened,
                    "build": opened[name].index.manifest.build if name in opened else None,
                    "cells": len(opened[name].index.cells) if name in opened else None,
                    "model": opened[name].model_name if name in opened else None,
                    "calibrated": opened[name].calibration is not None if name in opened else None,
                }
                for name in self.engine.names()
            ],
            "queue": {"inside": load.inside, "most": load.most, "refused": load.refused},
            "answered": load.answered,
            "encoder": {"passes": passes, "photos": photos},
        }


def app_version() -> str:
    """The version of this package; "unknown" where it is not installed."""
    try:
        return version("gair-geolocator")
    except PackageNotFoundError:
        return "unknown"
