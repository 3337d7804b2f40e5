"""Follow imports, also those inside functions: which project files a script needs, and which packages."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "deepfake"


def project_files(script: Path, src: Path) -> set[Path]:
    """All files below `src` that running `script` may import, with the packages' __init__ files."""
    seen: set[Path] = set()
    todo = [script]
    while todo:
        for module in _modules(todo.pop()):
            for file in _files(module, src):
                if file not in seen:
                    seen.add(file)
                    todo.append(file)
    return seen


def foreign_modules(files: Iterable[Path]) -> set[str]:
    """First names (`PIL`, `keras`) of all that files import from outside the project and Python."""
    names = {name.split(".")[0] for file in files for name in _modules(file)}
    return names - sys.stdlib_module_names - {PACKAGE}


def _modules(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files(module: str, src: Path) -> list[Path]:
    parts = module.split(".")
    if parts[0] != PACKAGE:
        return []
    found = [src.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    found.append(src.joinpath(*parts).with_suffix(".py"))
    return [file for file in found if file.is_file()]
