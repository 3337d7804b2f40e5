"""What a module depends on: the project's files that it may import, and the packages that these import."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

PACKAGE = "deepfake"
SRC = Path(__file__).parents[2]


def code_digest(module: str, src: Path = SRC) -> str:
    """sha256 over a module, the project's files that it may import, the packages' and Python's versions.

    Results of two digests must not be mixed.

    Args:
        module: dotted name.
        src: folder that holds the project's package.
    """
    own = _files(module, src)[-1]
    files = sorted(project_files(own, src) | {own})
    digest = hashlib.sha256(sys.version.split()[0].encode())
    for file in files:
        digest.update(f"\0{file.relative_to(src).as_posix()}\0".encode() + file.read_bytes())
    digest.update("\0".join(package_versions(files)).encode())
    return digest.hexdigest()


def project_files(script: Path, src: Path = SRC) -> set[Path]:
    """All files below `src` that `script` may import, also inside functions, and their __init__ files."""
    seen: set[Path] = set()
    todo = [script]
    while todo:
        for module in _imported(todo.pop()):
            for file in _files(module, src) if module.split(".")[0] == PACKAGE else []:
                if file not in seen:
                    seen.add(file)
                    todo.append(file)
    return seen


def package_versions(files: Iterable[Path]) -> list[str]:
    """`name==version` of every installed package that these files import, sorted."""
    names = {module.split(".")[0] for file in files for module in _imported(file)}
    packages = {package for name in names for package in _distributions().get(name, ())}
    return sorted(f"{package}=={version(package)}" for package in packages)


@lru_cache(maxsize=1)
def _distributions() -> dict[str, list[str]]:
    """Name of a module -> the installed packages that hold it, without this project."""
    found = dict(packages_distributions())
    found.pop(PACKAGE, None)
    return found


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files(module: str, src: Path) -> list[Path]:
    """The __init__ files of the packages around a module, then the module's own file."""
    parts = module.split(".")
    found = [src.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    found.append(src.joinpath(*parts).with_suffix(".py"))
    return [file for file in found if file.is_file()]
