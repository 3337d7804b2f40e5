"""MkDocs hooks: they add pages of the repository's root, and one reference page per room."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPO = Path(__file__).parents[1]
PACKAGE = REPO / "src" / "deepfake"
# People look for these in the repository's root. The site shows them too.
ROOT_PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add every room to the menu."""
    reference = [{name: f"reference/{name}.md"} for name in _rooms()]
    config.nav = [*(config.nav or []), {"Reference": ["reference/index.md", *reference]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for target, source in ROOT_PAGES.items():
        files.append(File.generated(config, target, content=_moved((REPO / source).read_text("utf-8"))))
    rooms = _rooms()
    for name in rooms:
        page = f"# {name}\n\n::: deepfake.{name}\n"
        files.append(File.generated(config, f"reference/{name}.md", content=page))
    rows = "".join(f"| [{name}]({name}.md) | {words} |\n" for name, words in rooms.items())
    index = f"# Reference\n\nThe rooms of `src/deepfake/`.\n\n| room | holds |\n| --- | --- |\n{rows}"
    files.append(File.generated(config, "reference/index.md", content=index))
    return files


def _moved(text: str) -> str:
    """A page of the root, with its links changed for docs/."""
    text = re.sub(r"\]\(docs/", "](", text)
    text = re.sub(r"\[([^]]+)\]\((?:models/[^)]+|LICENSE)\)", r"\1", text)  # not part of the site
    return re.sub(r"\]\((CONTRIBUTING|CHANGELOG)\.md", lambda found: f"]({found[1].lower()}.md", text)


def _rooms() -> dict[str, str]:
    """Room -> first line of its docstring, by name."""
    return {path.parent.name: _first_line(path) for path in sorted(PACKAGE.glob("*/__init__.py"))}


def _first_line(path: Path) -> str:
    words = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    if words is None:
        raise ValueError(f"{path} has no docstring: the reference needs its first line")
    return words.splitlines()[0]
