"""Health of a running server at ``GET /health``: state, indexes, load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gair.info import package_version

if TYPE_CHECKING:
    from app.engine.engine import Engine
    from indexer.search.live import LiveGeolocator


def health_report(engine: Engine, started: float, *, trusted: bool) -> dict[str, Any]:
    """The state of a running server as plain JSON types; cheap enough to be asked every second.

    Args:
        engine: what answers.
        started: when the server came up, by the monotonic clock.
        trusted: whether who asks may know more than that the server is up. Monitors need no
            password for that; names of indexes and builds are for those who have it.
    """
    load, opened = engine.admission.load, engine.indexes.open_now()
    damaged = any(live.verification == "damaged" for live in opened.values())
    brief = {"status": "stopping" if engine.admission.closed else "damaged" if damaged else "ok"}
    if not trusted:
        return brief
    return {
        **brief,
        "version": app_version(),
        "uptime_s": round(time.monotonic() - started, 1),
        "indexes": [_facts(name, opened.get(name)) for name in engine.indexes.names()],
        "queue": {"inside": load.inside, "most": load.most, "refused": load.refused},
        "answered": load.answered,
        "encoder": {"passes": engine.encoder.batches, "photos": engine.encoder.items},
    }


def _facts(name: str, live: LiveGeolocator | None) -> dict[str, Any]:
    """One index; of one that nobody asked for yet only the name."""
    geo = live.serving() if live else None
    return {
        "name": name,
        "open": geo is not None,
        "build": geo and geo.index.manifest.build,
        "cells": geo and len(geo.index.cells),
        "model": geo and geo.index.manifest.model.name,
        "runtime": geo and geo.space.runtime,
        "calibrated": geo and geo.calibration is not None,
        "verification": live and live.verification,
        "problem": live and (live.problem or None),
    }


def app_version() -> str:
    """The version of this package; "unknown" where it is not installed."""
    return package_version()
