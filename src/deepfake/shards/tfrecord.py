"""TFRecord files of `tf.train.Example`s without TensorFlow: bytes and ints only.

Importing TensorFlow costs seconds and 0.6 GB in every worker process, more than the work on a shard.
The framing is that of TensorFlow's "TFRecord and tf.train.Example" guide; the messages are protocol
buffers whose map entries stand in the order of their keys, so that equal examples give equal bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import google_crc32c

_BYTES_LIST, _INT64_LIST = b"\x0a", b"\x1a"  # tags of tf.train.Feature's fields 1 and 3
_HEAD, _TAIL = 12, 4  # bytes of a length with its checksum, of a message's checksum
_FIRST, _SECOND = b"\x0a", b"\x12"  # tags of length-delimited fields 1 and 2
_SMALL = [bytes([value]) for value in range(0x80)]  # varints of one byte


def encode_record(example: Mapping[str, bytes | int]) -> bytes:
    """One framed record: length, its checksum, the serialised Example, its checksum."""
    entries: list[bytes] = []
    for key in sorted(example, key=str.encode):
        kind, data = _value(example[key])
        head = b""
        for tag in (_FIRST, kind, _SECOND):  # value, list of values, feature: from the inside out
            head = _open(tag, head, len(data))
        head = _open(_FIRST, key.encode()) + head
        entries += (_open(_FIRST, head, len(data)), data)
    message = b"".join([_open(_FIRST, b"", sum(map(len, entries))), *entries])
    length = struct.pack("<Q", len(message))
    return b"".join([length, _masked_crc(length), message, _masked_crc(message)])


def read_records(file: BinaryIO) -> Iterator[dict[str, bytes | int]]:
    """The examples of a file that was opened for reading bytes.

    Raises:
        ValueError: a checksum or a length is wrong: the file is cut off or damaged.
    """
    for _, message in scan_records(file):
        yield decode_example(message)


def scan_records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of every serialised Example, so that one can be read again by itself.

    Raises:
        ValueError: as `read_records`.
    """
    offset = 0
    while head := file.read(_HEAD):
        if head[8:] != _masked_crc(head[:8]):
            raise ValueError("a record's length is damaged")
        (size,) = struct.unpack("<Q", head[:8])
        message, check = file.read(size), file.read(_TAIL)
        if check != _masked_crc(message):
            raise ValueError("a record is cut off or damaged")
        yield offset + _HEAD, message
        offset += _HEAD + size + _TAIL


def decode_example(message: bytes) -> dict[str, bytes | int]:
    """A serialised Example{1: Features{1: map of name to Feature}} -> values by name."""
    example: dict[str, bytes | int] = {}
    for _, features in _fields(message):
        for _, entry in _fields(features):
            (_, key), (_, feature) = _fields(entry)
            ((kind, values),) = _fields(feature)
            ((_, value),) = _fields(values)
            example[key.decode()] = value if kind == _BYTES_LIST[0] else _signed(value)
    return example


def _open(tag: bytes, head: bytes, rest: int = 0) -> bytes:
    """A length-delimited field before its last `rest` bytes, so that a picture is copied only once."""
    return tag + _varint(len(head) + rest) + head


def _value(value: bytes | int) -> tuple[bytes, bytes]:
    """Kind of list that a value stands in, and its bytes there."""
    return (_BYTES_LIST, value) if isinstance(value, bytes) else (_INT64_LIST, _varint(value % 2**64))


def _varint(value: int) -> bytes:
    if value < len(_SMALL):  # nearly all: thirty a record
        return _SMALL[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of a message's fields, all of them length-delimited."""
    position = 0
    while position < len(message):
        tag = message[position]
        length, start = _read_varint(message, position + 1)
        position = start + length
        yield tag, message[start:position]


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while message[position] > 0x7F:
        value |= (message[position] & 0x7F) << shift
        shift, position = shift + 7, position + 1
    return value | message[position] << shift, position + 1


def _signed(varint: bytes) -> int:
    value, _ = _read_varint(varint, 0)
    return value - 2**64 if value >= 2**63 else value


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)
