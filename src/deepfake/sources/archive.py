"""Source `archive`: a zip or tar file, with limits of size and with checks of every member."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from deepfake.base.errors import SourceError
from deepfake.params.ingest.limits import Unpacking
from deepfake.params.ingest.sources import ArchiveSource
from deepfake.sources.checksums import verify
from deepfake.sources.item import Listing
from deepfake.sources.layout import walk_in
from deepfake.sources.names import archive_kind

_CHUNK = 1 << 20
_BLOCK = 512  # bytes in a block of a tar file
_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
# The readers of the standard library raise these on hostile or broken input. RuntimeError: the archive is
# encrypted, or its compression is not known. IndexError: a member has no name. MemoryError is not here: it
# does not mean a broken archive.
_READER_ERRORS = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError,
    RuntimeError, ValueError, OverflowError, IndexError, MemoryError,
)  # fmt: skip


def list_archive(source: ArchiveSource, root: Path, scratch: Path) -> Listing:
    """Unpack `root / source.path` into `scratch` and list the files in its folder `source.folder`.

    A list of digests names the archive, relative to the folder of the archive.

    Raises:
        SourceError: the archive is missing, damaged, encrypted, above the limits or without pictures; or a
            member is a link or a device, or would be written outside the folder.
    """
    archive = root / source.path
    if not archive.is_file():
        raise SourceError(
            f"source {source.name!r}: there is no file {archive}: correct ingest.root or the source's path"
        )
    verify(source, root, archive.parent, [archive])
    unpack(archive, scratch, source.limits, f"source {source.name!r}: {source.path}")
    return walk_in(scratch, source)


def unpack(archive: Path, target: Path, limits: Unpacking, where: str) -> None:
    """Write the regular files of a zip or tar (plain, gz, bz2, xz) into `target`, an empty folder.

    Args:
        where: the name of the archive in error messages.

    Raises:
        SourceError: as in `list_archive`. Then `target` may hold a part of the files.
    """
    left = limits.max_bytes
    try:
        for name, stream in _members(archive, limits, where):
            with stream, _create(target, name, where) as file:
                while chunk := stream.read(_CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise _too_large(where, limits)
                    file.write(chunk)
    except _READER_ERRORS as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        raise _damaged(where, error) from error


def read_members(archive: Path, limits: Unpacking, most: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the regular files in a zip or tar; nothing is written.

    Args:
        most: number of bytes that are read of each file. The rest of a larger file is not returned.

    Raises:
        SourceError: as in `list_archive`, when the reader reaches the bad member.
    """
    where = archive.name
    try:
        for name, stream in _members(archive, limits, where):
            data = bytearray()
            with stream:
                while len(data) < most and (chunk := stream.read(min(_CHUNK, most - len(data)))):
                    data += chunk
            yield name, bytes(data)
    except _READER_ERRORS as error:
        raise _damaged(where, error) from error


def _damaged(where: str, error: Exception) -> SourceError:
    # A few bytes can ask a decoder for gigabytes.
    why = "it asks for too much memory" if isinstance(error, MemoryError) else error
    return SourceError(f"{where} is damaged or no zip or tar file ({why}): fetch it again")


def _members(archive: Path, limits: Unpacking, where: str) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb") as stream:
        head = stream.read(8)
    kind = archive_kind(head)
    if kind in ("rar", "7z", "zstd"):
        raise SourceError(
            f"{where} is a {kind} archive. This project can't read it: unpack it and use a folder source, "
            "or pack its files as zip or tar"
        )
    if kind == "part of a zip":
        raise SourceError(f"{where} is one part of a split zip: join the parts, then unpack them")
    if kind == "zip":
        yield from _zip_members(archive, limits, where)
    else:
        yield from _tar_members(archive, head, limits, where)


def _zip_members(archive: Path, limits: Unpacking, where: str) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as reader:
        members = reader.infolist()
        _check_count(len(members), where, limits)
        if sum(member.file_size for member in members) > limits.max_bytes:
            raise _too_large(where, limits)
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _no_regular_file(where, member.filename)
            if member.flag_bits & 1:
                raise SourceError(
                    f"{where} is encrypted ({member.filename}): unpack it and use a folder source"
                )
            if not member.is_dir():
                # zipfile reads only as many bytes as the header declares, and checks the CRC at the end.
                yield member.filename, reader.open(member)


def _tar_members(
    archive: Path, head: bytes, limits: Unpacking, where: str
) -> Iterator[tuple[str, IO[bytes]]]:
    opener = next((opener for magic, opener in _OPENERS.items() if head.startswith(magic)), open)
    with opener(archive, "rb") as raw:
        # A tar file has a header for each member, with its name. A larger file is an attack.
        stream = _Bounded(raw, limits.max_bytes + limits.max_files * 16 * _BLOCK, _too_large(where, limits))
        with tarfile.open(fileobj=stream, mode="r:") as reader:  # type: ignore[call-overload]
            for count, member in enumerate(reader, start=1):
                _check_count(count, where, limits)
                if member.size > limits.max_bytes:
                    raise _too_large(where, limits)
                if not (member.isdir() or member.isreg()) or member.issparse():
                    raise _no_regular_file(where, member.name)
                if member.isreg():
                    content = reader.extractfile(member)
                    assert content is not None  # None is only returned for members that are not files
                    yield member.name, content
            # tarfile stops at a broken header as if it were the end. The real end is a block of zeros.
            stream.seek(reader.offset)
            if stream.read(_BLOCK) != bytes(_BLOCK):
                raise tarfile.ReadError("it ends before its end mark")


class _Bounded:
    """A stream for tarfile that stops at a position, and never returns more than one chunk at once.

    A few bytes can decompress to any number of bytes, and tarfile reads a long header in one piece.
    """

    def __init__(self, raw: IO[bytes], end: int, error: SourceError) -> None:
        self._raw, self._end, self._error = raw, end, error

    def read(self, size: int) -> bytes:
        if size > _CHUNK or self._raw.tell() + size > self._end:
            raise self._error
        return self._raw.read(size)

    def seek(self, position: int) -> int:
        if position > self._end:
            raise self._error
        return self._raw.seek(position)

    def tell(self) -> int:
        return self._raw.tell()


@contextmanager
def _create(target: Path, name: str, where: str) -> Iterator[IO[bytes]]:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise SourceError(
            f"{where} is not unpacked: its member {name!r} would be written outside the folder; pack the "
            "archive again with relative paths"
        )
    file = target / path
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("xb") as stream:  # there are no links in target, and no member is written twice
        yield stream


def _check_count(count: int, where: str, limits: Unpacking) -> None:
    if count > limits.max_files:
        raise SourceError(
            f"{where} has more than {limits.max_files} members: if this is correct, raise the source's "
            "limits.max_files"
        )


def _too_large(where: str, limits: Unpacking) -> SourceError:
    return SourceError(
        f"{where} unpacks to more than {limits.max_bytes} bytes: if this is correct, raise the source's "
        "limits.max_bytes"
    )


def _no_regular_file(where: str, name: str) -> SourceError:
    return SourceError(
        f"{where} is not unpacked: its member {name!r} is a link, a device or a sparse file; pack regular "
        "files only"
    )
