"""Versions of ``constraints.txt``: what pip resolves today for the package with its extras.

``make constraints`` runs this: pins that are there stay, and what is missing is added. With
``--newest`` all are resolved again; run the tests before such pins are kept.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "constraints.txt"
APART = ("gpu", "baselines")
"""Extras that are not resolved with the others: one excludes what comes by itself, and of the other
only files are read, so it is installed without what its own code needs."""
_LOCAL = re.compile(r"\+.*$")  # torch's builds for other machines are the same version


def main() -> int:
    """Resolve, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--newest", action="store_true", help="let go of all pins first")
    newest = parser.parse_args().newest
    before = FILE.read_text(encoding="utf-8").splitlines()
    comments = [line for line in before if line.startswith("#")]
    pins = {name_of(line): line for line in before if line and not line.startswith("#")}
    resolved = {name_of(line): line for line in resolve(keep=not newest)}
    # What only another machine needs, such as torch's CUDA libraries, is not resolved here.
    pins = resolved if newest else pins | resolved
    FILE.write_text("\n".join([*comments, *(pins[name] for name in sorted(pins))]) + "\n")
    added = sorted(set(resolved) - {name_of(line) for line in before})
    print(f"{FILE.name}: {len(pins)} versions; new: {', '.join(added) or 'none'}")
    return 0


def name_of(pin: str) -> str:
    """The name of the package that a line pins, as indexes compare names."""
    return re.sub(r"[-_.]+", "-", pin.partition("==")[0].strip()).lower()


def resolve(*, keep: bool) -> list[str]:
    """What pip would install into an empty environment, as lines of the file."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
        extras = ",".join(name for name in project["optional-dependencies"] if name not in APART)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
        command += ["--ignore-installed", "--report", str(report)]
        command += ["-c", str(FILE)] if keep else []
        subprocess.run([*command, f"{REPOSITORY}[{extras}]"], check=True)
        installs = json.loads(report.read_text())["install"]
    pins = [(one["metadata"]["name"], one["metadata"]["version"]) for one in installs]
    return [
        f"{name}=={_LOCAL.sub('', version)}" for name, version in pins if name != "gair-geolocator"
    ]


if __name__ == "__main__":
    raise SystemExit(main())
