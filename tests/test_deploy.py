"""Files that operate and host the software: they name what is there, and keep what they promise."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from repository import REPOSITORY
from snippets import site_module

if TYPE_CHECKING:
    from app_pages import RunningPage

DEPLOY = REPOSITORY / "deploy"
FILES = [DEPLOY / "Containerfile", DEPLOY / "space" / "Dockerfile"]


def instructions_of(path: Path) -> list[tuple[str, str]]:
    """Instructions of a Containerfile and their arguments, lines joined, comments left out."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line]


def last_stage(path: Path) -> list[tuple[str, str]]:
    """The instructions of the image that is kept."""
    instructions = instructions_of(path)
    starts = [number for number, (name, _) in enumerate(instructions) if name == "FROM"]
    return instructions[starts[-1] :]


def command_of(path: Path) -> list[str]:
    """What the image starts."""
    (command,) = (said for name, said in last_stage(path) if name == "CMD")
    words: list[str] = json.loads(command)
    return words


def parsed(module: str, words: list[str]) -> Any:
    return site_module("commands").parser_of(module).parse_args(words)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_images_serve_without_rights_and_tell_their_health(path: Path) -> None:
    kept = last_stage(path)
    user = [said for name, said in kept if name == "USER"][-1]
    assert user.split(":")[0] not in ("root", "0")
    names = [name for name, _ in kept]
    assert names.index("USER") < names.index("CMD")
    assert names.index("USER") < names.index("HEALTHCHECK")
    (health,) = (said for name, said in kept if name == "HEALTHCHECK")
    assert "http://127.0.0.1:7860/health" in health
    assert ("EXPOSE", "7860") in kept
    words = command_of(path)
    assert words[:3] == ["python", "-m", "app"]
    options = parsed("app.cli", words[3:])
    assert (options.host, options.port) == ("0.0.0.0", 7860)
    assert hasattr(options, "auth") != hasattr(options, "no_auth")


def test_the_image_copies_what_is_there_and_its_context_lets_it_in() -> None:
    let_in = {
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().split() if line[0] == "!"
    }
    copied: set[str] = set()
    for name, said in instructions_of(FILES[0]):
        if name == "COPY" and not said.startswith("--from"):
            copied |= set(said.split()[:-1])
    assert copied
    assert copied == let_in
    assert [path for path in copied if not (REPOSITORY / path).exists()] == []
    # What the package is built from is all there: packages, the files that its metadata names.
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "gair",
        "indexer",
        "training",
        "app",
    } <= copied


def test_the_image_installs_extras_that_there_are() -> None:
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for path in FILES:
        text = path.read_text()
        (extras,) = re.findall(r"(?:\.|\$\{SOURCE\})\[([\w,]+)\]", text)
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_image_writes_nowhere_but_to_its_volumes() -> None:
    """A read-only root suffices: every folder that a cache goes to is a volume or /tmp."""
    settings = " ".join(said for name, said in last_stage(FILES[0]) if name == "ENV")
    folders = [
        word.partition("=")[2]
        for word in settings.split()
        if word.partition("=")[2].startswith("/") and not word.startswith("PATH=")
    ]
    assert len(folders) >= 5
    (volumes,) = (json.loads(said) for name, said in last_stage(FILES[0]) if name == "VOLUME")
    assert [f for f in folders if not f.startswith(("/tmp", *volumes))] == []


@pytest.mark.process
def test_the_health_check_of_the_image_answers(server: RunningPage) -> None:
    for path in FILES:
        (health,) = (said for name, said in last_stage(path) if name == "HEALTHCHECK")
        _, _, code = json.loads(health[health.index("[") :])
        here = code.replace("http://127.0.0.1:7860", server.url.rstrip("/"))
        done = subprocess.run([sys.executable, "-c", here], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        gone = code.replace("http://127.0.0.1:7860", "http://127.0.0.1:1")
        done = subprocess.run([sys.executable, "-c", gone], capture_output=True, check=False)
        assert done.returncode != 0


def test_the_space_draws_and_indexes_before_it_serves() -> None:
    runs = [said for name, said in last_stage(FILES[1]) if name == "RUN"]
    (drawn,) = (shlex.split(said)[3:] for said in runs if "training.synthetic" in said)
    assert parsed("training.synthetic.cli", drawn).out
    (made,) = (shlex.split(said)[3:] for said in runs if "app.demo" in said)
    assert parsed("app.demo", made).no_page
    header = yaml.safe_load((DEPLOY / "space" / "README.md").read_text().split("---\n")[1])
    assert (header["sdk"], header["app_port"]) == ("docker", 7860)
    assert len(header["short_description"]) <= 60


def test_the_compose_file_starts_both_with_few_rights() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    own, milvus = compose["services"]["gair"], compose["services"]["milvus"]
    assert (DEPLOY / own["build"]["context"] / own["build"]["dockerfile"]).resolve() == FILES[0]
    assert own["read_only"] is True
    assert own["cap_drop"] == ["ALL"]
    assert own["ports"] == ["127.0.0.1:7860:7860"]
    assert all("ports" not in one for name, one in compose["services"].items() if name != "gair")
    assert milvus["healthcheck"]["test"][-1].endswith("/healthz")
    named = {
        volume.partition(":")[0]
        for one in compose["services"].values()
        for volume in one.get("volumes", ())
        if not volume.startswith(".")
    }
    assert named == set(compose["volumes"])
    assert set(own["secrets"]) == set(compose["secrets"])
    depends = {d for one in compose["services"].values() for d in one.get("depends_on", ())}
    assert depends <= set(compose["services"])


def test_styles_of_qgis_colour_by_what_exports_have() -> None:
    fields = {"heat-cells.qml": "value", "index-cells.qml": "frame"}
    page = (REPOSITORY / "docs" / "qgis.md").read_text()
    styles = sorted((DEPLOY / "qgis").glob("*.qml"))
    assert len(styles) == 4
    for style in styles:
        root = ET.parse(style).getroot()
        assert root.tag == "qgis"
        assert f"(../deploy/qgis/{style.name})" in page
        named = set(
            re.findall(
                r'"(\w+)"',
                " ".join(
                    option.get("value", "")
                    for option in root.iter("Option")
                    if option.get("name") == "expression"
                ),
            )
        )
        assert named == ({fields[style.name]} if style.name in fields else set())
    raster = ET.parse(DEPLOY / "qgis" / "heat-raster.qml").getroot()
    (renderer,) = raster.iter("rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("singlebandpseudocolor", "1")


@pytest.mark.process
def test_language_models_are_told_how_to_ask(server: RunningPage) -> None:
    from app.http.mcp import TOOLS, instructions

    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    told = httpx.post(f"{server.url.rstrip('/')}/mcp", json=message).json()["result"]
    assert told["instructions"] == instructions()
    for tool in TOOLS:
        assert f"`{tool}`" in told["instructions"]
    text = (REPOSITORY / "app" / "http" / "SKILL.md").read_text()
    header = yaml.safe_load(text.split("---\n")[1])
    assert set(header) == {"name", "description"}
    for field in ("own_place", "claim_number", "not_in_index", "unlike_calibration", "no_content"):
        assert field in told["instructions"]
        assert field in (REPOSITORY / "docs" / "answers.md").read_text()


def test_the_workflow_runs_what_every_submission_must_pass() -> None:
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "checks.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert {"run": ".ci/run"} in job["steps"]
    assert workflow["permissions"] == {"contents": "read"}


def test_issue_forms_ask_for_what_is_needed() -> None:
    forms = {
        path.stem: yaml.safe_load(path.read_text())
        for path in (REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml")
        if path.stem != "config"
    }
    assert {"wrong-place", "bug", "imagery"} == set(forms)
    for form in forms.values():
        assert {"name", "description", "body"} <= set(form)
        identifiers = [field["id"] for field in form["body"] if field["type"] != "markdown"]
        assert len(identifiers) == len(set(identifiers))
        assert "version" in identifiers
    asked = {field.get("id") for field in forms["wrong-place"]["body"]}
    assert {"info", "answer", "truth", "wrong", "photo"} <= asked


def test_hooks_before_a_commit_are_the_checks_of_make() -> None:
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
    makefile = (REPOSITORY / "Makefile").read_text()
    entries = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    for tool in ("ruff check", "ruff format --check", "lint-imports"):
        assert any(tool in entry for entry in entries)
        assert f"$(BIN)/{tool}" in makefile
    for path in re.findall(r"tests/\w+\.py", " ".join(entries)):
        assert (REPOSITORY / path).is_file()


def test_the_citation_names_the_paper() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    (paper,) = (one for one in citation["references"] if one["type"] == "article")
    assert (paper["volume"], paper["start"], paper["end"]) == (237, 166, 182)
    assert paper["year"] == 2026
    assert any(one["value"].endswith("2503.16683") for one in paper["identifiers"])
    from gair.info import package_version

    assert citation["version"] == package_version()
