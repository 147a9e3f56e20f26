"""Hooks of the site's build: pages that are made, and links that leave the folder of the docs.

The command reference is made from the parsers. Markdown of the repository outside ``docs/`` becomes
pages of the site, and any other file that a page links to becomes a page with its text, so that
nothing on the site needs a network or the repository.
"""

from __future__ import annotations

import json
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(Path(__file__).parent)]  # this checkout, not an installed one

from commands import overview, program_page, read_programs  # noqa: E402
from mkdocs.structure.files import File  # noqa: E402

OUTSIDE = {
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "training/dataset/STREETSCAPES.md": "project/streetscapes.md",
    "training/finetune/README.md": "project/finetune.md",
    "README.md": "index.md",
}
"""Pages of the site by the Markdown they are made from; the first page has a text of its own."""
COMMANDS = "commands.md"
PROGRAMS = "<!-- programs -->"
"""Where on that page the programs are listed."""

_LINK = re.compile(r"(?<=\]\()([^)\s:#]+)(?=[)#])")
_LANGUAGES = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".json": "json", ".toml": "toml"}

_sources: dict[str, str] = {}
"""Paths in the repository of pages that were made from them."""


def on_config(config: Any) -> Any:  # noqa: ANN401
    """List the pages of the programs where the navigation names the overview."""
    pages = [{program.name: program.page} for program in read_programs()]
    for section in config.nav:
        for entries in section.values():
            if isinstance(entries, list) and {"Commands": COMMANDS} in entries:
                place = entries.index({"Commands": COMMANDS})
                entries[place] = {"Commands": [COMMANDS, *pages]}
    return config


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401
    """Add the pages that are made."""
    programs = read_programs()
    texts = {program.page: program_page(program) for program in programs}
    files.src_uris[COMMANDS].content_string = _text_of(f"docs/{COMMANDS}").replace(
        PROGRAMS, overview(programs)
    )
    _sources.clear()
    for source, page in OUTSIDE.items():
        if page != "index.md":
            texts[page] = _text_of(source)
            _sources[page] = source
    texts |= {page: _notebook_text(page) for page in notebook_pages()}
    pages = {page: f"docs/{page}" for page in files.src_uris if page.endswith(".md")}
    written = {
        page: (REPOSITORY / path).read_text(encoding="utf-8") for page, path in pages.items()
    }
    for page, text in {**written, **texts}.items():
        for link in _LINK.findall(text):
            target = _target(link, page)
            if (REPOSITORY / target).is_file() and _is_source(target):
                language = _LANGUAGES.get(Path(target).suffix, "text")
                code = _text_of(target)
                texts[_source_page(target)] = _source_text(target, language, code)
    for page, text in texts.items():
        files.append(File.generated(config, page, content=text))
    icon = REPOSITORY / "app" / "static" / "favicon.png"
    files.append(File.generated(config, "favicon.png", abs_src_path=str(icon)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401
    """Lead links to files of the repository to the pages that stand for them."""
    here = page.file.src_uri

    def led(link: re.Match[str]) -> str:
        target = _target(link[1], here)
        if target in OUTSIDE:
            there = OUTSIDE[target]
        elif _is_source(target) and (REPOSITORY / target).is_file():
            there = _source_page(target)
        elif target.startswith("docs/") and here in _sources:
            there = target.removeprefix("docs/")
        else:
            return link[1]
        return posixpath.relpath(there, posixpath.dirname(here) or ".")

    return _LINK.sub(led, markdown)


def _target(link: str, page: str) -> str:
    """The path in the repository that a page links to."""
    source = _sources.get(page, f"docs/{page}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _is_source(target: str) -> bool:
    return target not in OUTSIDE and not target.startswith(("docs/", ".."))


def _source_page(target: str) -> str:
    return f"source/{target}.md"


def notebook_pages() -> list[str]:
    """Pages that are made from the notebooks, beside them."""
    notebooks = sorted((REPOSITORY / "docs" / "notebooks").glob("*.ipynb"))
    return [f"notebooks/{path.stem}.md" for path in notebooks]


def _notebook_text(page: str) -> str:
    """A notebook as Markdown."""
    name = page.replace(".md", ".ipynb")
    parts = []
    for cell in json.loads(_text_of(f"docs/{name}"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    title, *rest = "\n\n".join(parts).split("\n", 1)
    link = f"As a notebook: [`{posixpath.basename(name)}`]({posixpath.basename(name)})."
    return "\n\n".join([title, link, *rest]) + "\n"


def _text_of(path: str) -> str:
    return (REPOSITORY / path).read_text(encoding="utf-8")


def _source_text(target: str, language: str, code: str) -> str:
    return f"---\nsearch: {{exclude: true}}\n---\n# `{target}`\n\n````{language}\n{code}\n````\n"
