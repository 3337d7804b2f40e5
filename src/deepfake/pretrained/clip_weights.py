"""The weights of the CLIP tower, as an int8 ONNX graph or as float arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from deepfake.base.errors import TrainingError
from deepfake.base.stage import root
from deepfake.pretrained.fetched import fetch_file
from deepfake.pretrained.wheels import wheel_of

NAME = "clip-vit-b16"
BLOCKS, WIDTH, HEADS, PATCH = 12, 768, 12, 16
SIDE = 224  # pixels; the graph accepts no other side
# Of CLIP's training pictures, RGB in 0..1: `pixel_values` are (picture / 255 - mean) / deviation.
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def tower_graph(folder: Path = Path("models/pretrained")) -> Path:
    """The tower's int8 ONNX graph. The file is fetched if it is missing; its sha256 is always checked.

    The graph's input is `pixel_values`, float32 [batch, 3, 224, 224].

    Args:
        folder: holds the file; a relative path starts at the repository's root.

    Raises:
        TrainingError: see `fetch_file`.
    """
    target = root() / folder / f"{NAME}.int8.onnx"
    fetch_file(wheel_of(NAME), target)
    return target


def tower_arrays(graph: Path) -> dict[str, np.ndarray]:
    """The tower's weights in float32: (int8 value - zero point) * scale, per output channel.

    Args:
        graph: from `tower_graph`.

    Returns:
        Name -> float32 array in Keras' order of axes; `n` is a block, 0 to 11:
        `patches/kernel` [16, 16, 3, 768], `tokens/class_token` [768], `tokens/positions` [197, 768];
        `norm_pre`, `norm_post`, `block{n}_norm1`, `block{n}_norm2`, each with `/gamma` and `/beta` [768];
        `block{n}_attention/{query,key,value,out}`, each with `/kernel` [768, 768] and `/bias` [768];
        `block{n}_mlp1`, `block{n}_mlp2`, each with `/kernel` ([768, 3072], [3072, 768]) and `/bias`.
        The projection into the space that pictures and texts share is not among them.

    Raises:
        TrainingError: the file is not the tower's graph.
    """
    import onnx

    try:
        found = _named_arrays(onnx.load(graph))
        kernel = found["embeddings.patch_embedding.weight"]
        arrays = {
            "patches/kernel": kernel.transpose(2, 3, 1, 0),
            "tokens/class_token": found["embeddings.class_embedding"],
            "tokens/positions": found["embeddings.position_embedding.weight"],
            **_norm(found, "norm_pre", "pre_layrnorm"),  # the export's own spelling
            **_norm(found, "norm_post", "post_layernorm"),
        }
        for number in range(BLOCKS):
            arrays |= _block(found, number)
    except KeyError as error:
        raise TrainingError(f"{graph}: this is not the graph of {NAME}: {error} is missing") from error
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}


def _block(found: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    theirs, ours = f"encoder.layers.{number}.", f"block{number}_"
    arrays = _norm(found, f"{ours}norm1", f"{theirs}layer_norm1")
    arrays |= _norm(found, f"{ours}norm2", f"{theirs}layer_norm2")
    for name, part in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "out")):
        for kind in ("kernel", "bias"):
            arrays[f"{ours}attention/{name}/{kind}"] = found[f"{theirs}self_attn.{part}_proj.{kind}"]
    for name, part in (("mlp1", "fc1"), ("mlp2", "fc2")):
        for kind in ("kernel", "bias"):
            arrays[f"{ours}{name}/{kind}"] = found[f"{theirs}mlp.{part}.{kind}"]
    return arrays


def _norm(found: dict[str, np.ndarray], ours: str, theirs: str) -> dict[str, np.ndarray]:
    return {f"{ours}/gamma": found[f"{theirs}.weight"], f"{ours}/beta": found[f"{theirs}.bias"]}


def _named_arrays(model: Any) -> dict[str, np.ndarray]:
    """The export's names -> arrays. An int8 weight has no name, so it gets its node's name."""
    from onnx import numpy_helper

    have = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = {name.removeprefix("vision_model."): array for name, array in have.items()}
    for node in model.graph.node:
        place = re.fullmatch(r"/vision_model/(.+)/MatMul_quant", node.name)
        if node.op_type == "MatMulInteger" and place:
            weight = have[node.input[1]].astype(np.float32) - have[node.input[3]].astype(np.float32)
            scale = have[node.input[1].removesuffix("_quantized") + "_scale"]
            found[place[1].replace("/", ".") + ".kernel"] = weight * scale
    return found


def class_token_graph(graph: Path) -> bytes:
    """The int8 graph with one output, `class_tokens`: float32 [batch, 13, 768].

    It has the class tokens after each of the 12 blocks, then the last one layer-normalised. Activations
    are quantised by the range of the whole batch. Use a batch of 1, or a picture's output depends on the
    other pictures.

    Args:
        graph: from `tower_graph`.

    Returns:
        The bytes of an ONNX model.

    Raises:
        TrainingError: the file is not the tower's graph.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.utils import Extractor

    model = onnx.load(graph)
    made = {name for node in model.graph.node for name in node.output}
    blocks = [f"/vision_model/encoder/layers.{number}/Add_1_output_0" for number in range(BLOCKS - 1)]
    blocks.append("onnx::Gather_1524")
    last = "/vision_model/post_layernorm/Add_1_output_0"
    missing = [name for name in (*blocks, last) if name not in made]
    if missing:
        raise TrainingError(f"{graph}: this is not the graph of {NAME}: {missing[0]} is missing")
    first, axis = "class_tokens/first", "class_tokens/axis"
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.array([0]), first), numpy_helper.from_array(np.array([1]), axis)]
    )
    parts = [f"class_tokens/{number}" for number in range(BLOCKS + 1)]
    for tokens, part in zip(blocks, parts[:-1], strict=True):  # a list of one index keeps the axis
        model.graph.node.append(helper.make_node("Gather", [tokens, first], [part], axis=1))
    model.graph.node.append(helper.make_node("Unsqueeze", [last, axis], [parts[-1]]))
    model.graph.node.append(helper.make_node("Concat", parts, ["class_tokens"], axis=1))
    shape: list[str | int | None] = ["batch", BLOCKS + 1, WIDTH]
    model.graph.output.append(helper.make_tensor_value_info("class_tokens", TensorProto.FLOAT, shape))
    alone = Extractor(model).extract_model(["pixel_values"], ["class_tokens"])
    return bytes(alone.SerializeToString())
