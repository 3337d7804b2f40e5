"""Bodies of requests, read within limits and kept in memory: nothing of them reaches the disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from deepfake.rest.problems import Problem

Take = Callable[[int], None]


class Allowance:
    """Bytes that the bodies of all requests may hold together. Only the event loop's thread uses it.

    Attributes:
        held: bytes at this moment.
    """

    def __init__(self, most: int) -> None:
        self._most, self.held = most, 0

    @contextmanager
    def share(self) -> Iterator[Take]:
        """Gives a function that takes bytes or raises `Problem` 503; at the end all come back."""
        mine = 0

        def take(number: int) -> None:
            nonlocal mine
            if self.held + number > self._most:
                raise Problem(503, "busy", "the service holds too many uploads at this moment: try again")
            self.held, mine = self.held + number, mine + number

        try:
            yield take
        finally:
            self.held -= mine


class _InMemory(MultiPartParser):
    spool_max_size = 2**62  # the request's own limit is far below


async def read_body(request: Request, most: int, take: Take) -> bytes:
    """The bytes of one upload, sent as the body or as the only file of a form.

    Raises:
        Problem: 413 it has more than `most` bytes; 422 no file or several; 503 no memory.
    """
    if _is_form(request):
        files = await _files(request, most, take)
        if len(files) != 1:
            raise Problem(422, "one_picture", f"the form holds {len(files)} files: send one")
        return files[0]
    data = b"".join([chunk async for chunk in _chunks(request, most, take)])
    if not data:
        raise Problem(422, "nothing_sent", "the body is empty: send the bytes of a picture")
    return data


async def read_bodies(request: Request, most: int, take: Take, number: int) -> list[bytes]:
    """The bytes of every file of a form, in their order.

    Raises:
        Problem: 413 more than `most` bytes; 415 it is no form; 422 no file, or more than `number`.
    """
    if not _is_form(request):
        raise Problem(415, "no_form", "send the pictures as files of a multipart/form-data form")
    files = await _files(request, most, take)
    if not 1 <= len(files) <= number:
        raise Problem(422, "too_many_pictures", f"the form holds {len(files)} files: send 1 to {number}")
    return files


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _files(request: Request, most: int, take: Take) -> list[bytes]:
    parser = _InMemory(request.headers, _chunks(request, most, take))
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(400, "bad_form", "the multipart/form-data form can't be read") from error
    try:
        return [await part.read() for _, part in form.multi_items() if isinstance(part, UploadFile)]
    finally:
        await form.close()


async def _chunks(request: Request, most: int, take: Take) -> AsyncGenerator[bytes, None]:
    too_large = Problem(413, "too_many_bytes", f"the request may have at most {most} bytes")
    declared, total = request.headers.get("content-length", ""), 0
    if declared.isdecimal() and int(declared) > most:
        raise too_large
    async for chunk in request.stream():
        total += len(chunk)
        if total > most:
            raise too_large
        take(len(chunk))
        yield chunk
