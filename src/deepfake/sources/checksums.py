"""Checks that a source's files are unchanged: a list has the SHA-256 of each, as sha256sum writes it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from deepfake.base.errors import SourceError
from deepfake.params.ingest.sources import Source, SyntheticSource
from deepfake.sources.item import readable

_LINE = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)")
_ESCAPE = re.compile(r"\\([\\nr])")
_NEXT = "fetch the file again, or make a new list if the change is correct"


def verify(source: Source, root: Path, folder: Path, files: Iterable[Path]) -> None:
    """Compare a source's files with its list of digests, if it has one.

    Args:
        folder: names in the list are relative to it.
        files: the files that the source uses. Other listed files are checked as well.

    Raises:
        SourceError: a file is different, missing or not listed; the text names it.
    """
    if isinstance(source, SyntheticSource) or source.sha256 is None:
        return
    where = f"source {source.name!r}"
    wanted = _read_list(root / source.sha256, where)
    # Only regular files hold pictures, and reading from a pipe may never end.
    used = {file.relative_to(folder).as_posix() for file in files if file.is_file()}
    unlisted = sorted(used - set(wanted))
    if unlisted:
        raise SourceError(
            f"{where}: {readable(Path(unlisted[0]))} ({len(unlisted)} in all) is not listed in "
            f"{source.sha256}: remove the file, or add its line as sha256sum prints it"
        )
    for name, digest in wanted.items():
        file, shown = folder / name, readable(Path(name))
        if name not in used and not file.resolve().is_relative_to(folder.resolve()):
            raise SourceError(
                f"{where}: {source.sha256} names {shown}, which is outside the source: remove the line"
            )
        if not file.is_file():
            raise SourceError(f"{where}: {shown} is listed in {source.sha256} but does not exist: {_NEXT}")
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != digest:
            raise SourceError(f"{where}: {shown} is not as {source.sha256} says (found {found}): {_NEXT}")


def _read_list(path: Path, where: str) -> dict[str, str]:
    """Digest by name."""
    try:
        # A file name may hold any bytes except a line break.
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
    except OSError as error:
        raise SourceError(f"{where}: can't read its list of digests {path}: {error}") from error
    wanted: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise SourceError(
                f"{where}: line {number} of {path} does not have the form of sha256sum (64 hex "
                "digits, two spaces, a name): make the list with `sha256sum FILES > LIST` in the source's "
                "folder"
            )
        escaped, digest, name = match.groups()
        if escaped:  # sha256sum escapes names that hold a backslash or a line break
            name = _ESCAPE.sub(lambda m: {"n": "\n", "r": "\r"}.get(m[1], "\\"), name)
        wanted[name.removeprefix("./")] = digest.lower()
    return wanted
