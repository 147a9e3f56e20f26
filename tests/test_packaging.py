"""Package metadata: what one line installs, who made it, and the versions that go together."""

from __future__ import annotations

import importlib
import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import REPOSITORY

PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
PINS = {
    canonicalize_name(name): version
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
    for name, _, version in [line.partition("==")]
}
EXTRAS = {name: lines for name, lines in PROJECT["optional-dependencies"].items() if name != "gpu"}


@pytest.mark.parametrize(
    "line", [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]
)
def test_every_dependency_has_a_version_that_was_tested(line: str) -> None:
    wanted = Requirement(line)
    pinned = PINS.get(canonicalize_name(wanted.name))
    assert pinned is not None, "run make constraints"
    assert wanted.specifier.contains(pinned, prereleases=True)


def test_one_line_installs_what_a_search_needs() -> None:
    assert "faiss-cpu" in {Requirement(line).name for line in PROJECT["dependencies"]}
    assert {Requirement(line).name for line in PROJECT["optional-dependencies"]["gpu"]} == {
        "faiss-gpu"
    }


def test_the_package_says_whose_it_is() -> None:
    for field in ("authors", "urls", "classifiers", "keywords", "license", "readme"):
        assert PROJECT[field], field
    citation = (REPOSITORY / "CITATION.cff").read_text()
    assert f"version: {PROJECT['version']}\n" in citation
    assert PROJECT["authors"][0]["name"] in citation


@pytest.mark.parametrize("script", PROJECT["scripts"])
def test_every_script_leads_somewhere(script: str) -> None:
    module, name = PROJECT["scripts"][script].split(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_versions_are_listed_once_and_in_order() -> None:
    names = [
        line.partition("==")[0]
        for line in (REPOSITORY / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    plain = [re.sub(r"[-_.]+", "-", name).lower() for name in names]
    assert plain == sorted(set(plain))
