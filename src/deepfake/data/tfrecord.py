"""TFRecord files of `tf.train.Example`s without TensorFlow: bytes and ints only.

Importing TensorFlow costs seconds and 0.6 GB in every worker process, more than the work on a shard.
The framing is that of TensorFlow's "TFRecord and tf.train.Example" guide; the messages are protocol
buffers whose map entries stand in the order of their keys, so that equal examples give equal bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import BinaryIO

import numpy as np

_BYTES_LIST, _INT64_LIST = b"\x0a", b"\x1a"  # tags of tf.train.Feature's fields 1 and 3
_FIRST, _SECOND = b"\x0a", b"\x12"  # tags of length-delimited fields 1 and 2
_POLYNOMIAL = 0x82F63B78  # CRC-32C (Castagnoli), reflected
_BLOCK = 64
_ROUNDS = 7  # enough for 64 * 16^6 bytes, 1 GiB
_PLACES = np.arange(_BLOCK) * 256
_START = b"Td\x1fd"  # brings a register of zeros to the all-ones that the checksum starts from


def encode_record(example: Mapping[str, bytes | int]) -> bytes:
    """One framed record: length, its checksum, the serialised Example, its checksum."""
    entries = []
    for key in sorted(example, key=str.encode):
        feature = _feature(example[key])
        entries.append(_field(_FIRST, _field(_FIRST, key.encode()) + _field(_SECOND, feature)))
    message = _field(_FIRST, b"".join(entries))
    length = struct.pack("<Q", len(message))
    return b"".join([length, _masked_crc(length), message, _masked_crc(message)])


def read_records(file: BinaryIO) -> Iterator[dict[str, bytes | int]]:
    """The examples of a file that was opened for reading bytes.

    A content's own checksum is left to TensorFlow: it would cost as much as decoding the picture,
    whose identity is the sha256 of its bytes.

    Raises:
        ValueError: the file is cut off or no TFRecord.
    """
    while head := file.read(12):
        if head[8:] != _masked_crc(head[:8]):
            raise ValueError("a record's length is damaged")
        (size,) = struct.unpack("<Q", head[:8])
        message, check = file.read(size), file.read(4)
        if len(check) < 4:
            raise ValueError("a record is cut off")
        yield _decode_example(message)


def crc32c(data: bytes) -> int:
    """CRC-32C of some bytes (RFC 3720, section 12.1).

    The checksum is linear: every byte's share is looked up by its place in a block of 64, for all
    blocks at once; the blocks' checksums, 16 to a block, are the bytes of the next round.
    """
    rest = np.frombuffer(_START + data, np.uint8)
    for table in _tables():
        padded = np.zeros(-(-len(rest) // _BLOCK) * _BLOCK, np.uint8)
        padded[-len(rest) :] = rest  # zeros in front change nothing
        shares = table.take(padded.reshape(-1, _BLOCK) + _PLACES)
        values = np.bitwise_xor.reduce(shares, axis=1)
        if len(values) == 1:
            return int(values[0]) ^ 0xFFFFFFFF
        rest = values.view(np.uint8)
    raise ValueError(f"a record of {len(data)} bytes is too long")


def _field(tag: bytes, content: bytes) -> bytes:
    return b"".join([tag, _varint(len(content)), content])


def _feature(value: bytes | int) -> bytes:
    if isinstance(value, bytes):
        return _field(_BYTES_LIST, _field(_FIRST, value))
    return _field(_INT64_LIST, _field(_FIRST, _varint(value % 2**64)))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _decode_example(message: bytes) -> dict[str, bytes | int]:
    """Example{1: Features{1: map of name to Feature}} -> values by name."""
    example: dict[str, bytes | int] = {}
    for _, features in _fields(message):
        for _, entry in _fields(features):
            (_, key), (_, feature) = _fields(entry)
            ((kind, values),) = _fields(feature)
            ((_, value),) = _fields(values)
            example[key.decode()] = value if kind == _BYTES_LIST[0] else _signed(value)
    return example


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
    crc = crc32c(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


@lru_cache(maxsize=1)
def _tables() -> list[np.ndarray]:
    """For each round, the share of every byte value at every place of a block: uint32 [64 * 256]."""
    one = np.arange(256, dtype="<u4")
    for _ in range(8):
        one = np.where(one & 1, one >> 1 ^ np.uint32(_POLYNOMIAL), one >> 1)
    places = [one]
    for _ in range(_BLOCK - 1):  # a checksum that meets one more byte, a zero
        places.append(one[places[-1] & 0xFF] ^ places[-1] >> 8)
    tables = [np.stack(places[::-1])]
    # What 64 more zero bytes do to a checksum: just what happens to the first four bytes of a block.
    shift = tables[0][:4]
    while len(tables) < _ROUNDS:
        shares = [np.arange(256, dtype="<u4") << 8 * np.arange(4, dtype="<u4")[:, None]]
        for _ in range(_BLOCK // 4):
            shares.append(_shifted(shares[-1], shift))
        shift = shares.pop()  # 16 times as far: the next round's step
        tables.append(np.concatenate(shares[::-1]))
    return [table.ravel() for table in tables]


def _shifted(values: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Checksums after further zero bytes; `shift` [4, 256] holds each byte's share."""
    low, high = shift[0][values & 0xFF], shift[3][values >> 24]
    return low ^ shift[1][values >> 8 & 0xFF] ^ shift[2][values >> 16 & 0xFF] ^ high
