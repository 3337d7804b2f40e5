"""Follow the project imports of a script, also those inside functions."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = "deepfake"


def project_files(script: Path, src: Path) -> set[Path]:
    """All files below `src` that running `script` may import, with the packages' __init__ files."""
    seen: set[Path] = set()
    todo = [script]
    while todo:
        for module in _modules(ast.parse(todo.pop().read_text(encoding="utf-8"))):
            for file in _files(module, src):
                if file not in seen:
                    seen.add(file)
                    todo.append(file)
    return seen


def _modules(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def _files(module: str, src: Path) -> list[Path]:
    parts = module.split(".")
    found = [src.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    found.append(src.joinpath(*parts).with_suffix(".py"))
    return [file for file in found if file.is_file()]
