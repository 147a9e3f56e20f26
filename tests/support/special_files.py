"""What lies where a file should: pipes nobody writes to, devices without an end, sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

SPECIAL = ("pipe", "endless", "socket", "nothing")


def make_special(kind: str, path: Path) -> Path:
    """Put one of :data:`SPECIAL` at a path."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "nothing":
        path.symlink_to(path.with_name("gone"))
    else:
        here = os.open(path.parent, os.O_RDONLY)  # the path of a socket may have 107 characters
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
    return path
