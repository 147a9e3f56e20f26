"""Strict build of the documentation site, and what MkDocs does not check of it.

``python docs/site/check.py`` exits with 1 and says why if the build warns of anything, if a link
leads to no page or heading of the site, if a page would load something from another host, or if a
public name of the packages has no entry in the reference.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

REPOSITORY = Path(__file__).resolve().parents[2]
SITE = REPOSITORY / "artifacts" / "site"
PUBLIC = ("gair", "indexer", "indexer.imagery", "indexer.regions", "indexer.ground")
"""Packages whose ``__all__`` the reference covers."""

_LOADS = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href")}


class _Page(HTMLParser):
    """Links, anchors and loaded files of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Gather what a tag has."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif (tag, name) in _LOADS and value:
                self.loaded.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)


def problems_of(site: Path) -> list[str]:
    """What is wrong with a built site, a line each.

    Args:
        site: its folder.
    """
    pages = {
        path: _Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"  # its addresses are those of the server's root
    }
    problems = []
    for path, page in pages.items():
        here = path.relative_to(site)
        for address in page.loaded:
            if urlsplit(address).scheme in ("http", "https") or address.startswith("//"):
                problems.append(f"{here} loads {address}")
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("#__"):
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not there.is_file():
                problems.append(f"{here} links to {link}, which is not there")
            elif there in pages and unquote(parts.fragment) not in pages[there].anchors:
                problems.append(f"{here} links to {link}, a heading that is not there")
    for style in site.rglob("*.css"):
        for address in re.findall(r"url\((https?:[^)]+)\)", style.read_text(encoding="utf-8")):
            problems.append(f"{style.relative_to(site)} loads {address}")
    return problems


def missing_names(site: Path) -> list[str]:
    """Public names of the packages that no page of the reference describes."""
    anchors = {
        anchor
        for path in (site / "api").glob("*.html")
        for anchor in _Page(path.read_text(encoding="utf-8")).anchors
    }
    described = {anchor.rpartition(".")[2] for anchor in anchors if "." in anchor}
    return [
        f"{package}.{name}"
        for package in PUBLIC
        for name in importlib.import_module(package).__all__
        if name not in described
    ]


def main() -> int:
    """Build and check; returns the exit status."""
    sys.path.insert(0, str(REPOSITORY))
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    if status := subprocess.run(build, cwd=REPOSITORY, env=environment, check=False).returncode:
        return status
    problems = problems_of(SITE)
    problems += [f"{name} is not in the reference" for name in missing_names(SITE)]
    print("\n".join(problems) or f"documentation site: {SITE}")
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
