"""Lists of SHA-256 digests, as the tool sha256sum writes them, hold a source's files still."""

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
_NEXT = "fetch the file again, or write the list anew if the change is meant"


def verify(source: Source, root: Path, folder: Path, files: Iterable[Path]) -> None:
    """Compare a source's files with its list, if it has one; names in it are relative to `folder`.

    Args:
        files: those that the source uses. Listed ones that it doesn't use are checked as well.

    Raises:
        SourceError: a file differs, is missing, or isn't listed; the text names it.
    """
    if isinstance(source, SyntheticSource) or source.sha256 is None:
        return
    where = f"source {source.name!r}"
    wanted = _read_list(root / source.sha256, where)
    # What is no regular file holds no picture, and a pipe would be waited for without end.
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
                f"{where}: {source.sha256} names {shown}, outside the source: remove the line"
            )
        if not file.is_file():
            raise SourceError(f"{where}: {shown} is listed in {source.sha256} but missing: {_NEXT}")
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != digest:
            raise SourceError(f"{where}: {shown} differs from {source.sha256} (found {found}): {_NEXT}")


def _read_list(path: Path, where: str) -> dict[str, str]:
    """Digest by name."""
    try:
        # As file names are: any bytes but a line break.
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
                f"{where}: line {number} of {path} is no line of sha256sum's (64 hex digits, two "
                "spaces, a name): make it with `sha256sum FILES > LIST` in the source's folder"
            )
        escaped, digest, name = match.groups()
        if escaped:  # sha256sum does so for names with a backslash or line break in them
            name = _ESCAPE.sub(lambda m: {"n": "\n", "r": "\r"}.get(m[1], "\\"), name)
        wanted[name.removeprefix("./")] = digest.lower()
    return wanted
