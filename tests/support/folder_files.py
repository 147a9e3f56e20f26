"""The files of a folder by what they hold."""

from __future__ import annotations

from pathlib import Path

from gair.files import sha256_of


def files_of(folder: Path) -> dict[str, str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): sha256_of(file) for file in sorted(files)}
