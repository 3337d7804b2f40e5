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

    Raises:
        ValueError: a checksum or a length is wrong: the file is cut off or damaged.
    """
    while head := file.read(12):
        if head[8:] != _masked_crc(head[:8]):
            raise ValueError("a record's length is damaged")
        (size,) = struct.unpack("<Q", head[:8])
        message, check = file.read(size), file.read(4)
        if check != _masked_crc(message):
            raise ValueError("a record is cut off or damaged")
        yield _decode_example(message)


def crc32c(data: bytes) -> int:
    """CRC-32C of some bytes (RFC 3720, section 12.1).

    The checksum is linear: each block's is looked up byte by byte for all blocks at once, then
    neighbours are joined, by a shift over twice as many bytes in every round.
    """
    steps, shifts = _tables()
    size = len(_START) + len(data)
    padded = np.zeros(-(-size // _BLOCK) * _BLOCK, np.uint8)  # zeros in front change nothing
    padded[-size:] = np.frombuffer(_START + data, np.uint8)
    values = np.bitwise_xor.reduce(steps.take(padded.reshape(-1, _BLOCK) + _offsets()), axis=1)
    for shift in shifts:
        if len(values) == 1:
            break
        if len(values) % 2:
            values = np.concatenate([np.zeros(1, np.uint32), values])
        values = _shifted(values[0::2], shift) ^ values[1::2]
    return int(values[0]) ^ 0xFFFFFFFF


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
def _tables() -> tuple[np.ndarray, list[np.ndarray]]:
    """Checksums of a byte at each place of a block [64, 256], and of shifts by 64 * 2^n bytes."""
    one = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        one = np.where(one & 1, one >> 1 ^ np.uint32(_POLYNOMIAL), one >> 1)
    places = [one]
    for _ in range(_BLOCK - 1):
        places.append(one[places[-1] & 0xFF] ^ places[-1] >> 8)
    steps = np.stack(places[::-1])
    shifts = [steps[:4]]  # a checksum that meets 64 more bytes is like a block's first four bytes
    while len(shifts) < 32:
        shifts.append(_shifted(shifts[-1], shifts[-1]))
    return steps, shifts


@lru_cache(maxsize=1)
def _offsets() -> np.ndarray:
    return np.arange(_BLOCK, dtype=np.intp) * 256


def _shifted(values: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Checksums after further zero bytes; `shift` [4, 256] holds each byte's share."""
    low, high = shift[0][values & 0xFF], shift[3][values >> 24]
    return low ^ shift[1][values >> 8 & 0xFF] ^ shift[2][values >> 16 & 0xFF] ^ high
