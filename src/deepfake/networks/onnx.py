"""A detector as an ONNX graph, for runtimes without Keras. It needs the [onnx] extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from deepfake.base.errors import TrainingError


def export_onnx(model: keras.Model, path: Path) -> None:
    """Write a float32 detector. The file takes any batch size and gives the same logits within 1e-4.

    Args:
        model: from `build_detector` or `load_detector`, on the TensorFlow backend.
        path: of the `.onnx` file.

    Raises:
        TrainingError: tf2onnx is not installed.
    """
    try:
        from tf2onnx.handler import tf_op
    except ImportError as error:
        raise TrainingError("ONNX export needs tf2onnx: pip install 'deepfake-detector[onnx]'") from error
    tf_op("Erfc")(_Erfc)
    model.export(path, format="onnx", verbose=False)


class _Erfc:
    """1 - erf(x). TensorFlow writes GELU with it, and tf2onnx does not know it."""

    @classmethod
    def version_9(cls, graph: Any, node: Any, **_: Any) -> None:
        dtype, shape = graph.get_dtype(node.output[0]), graph.get_shape(node.output[0])
        one = graph.make_const(f"{node.name}_one", np.ones((), np.float32)).output[0]
        erf = graph.make_node("Erf", node.input).output[0]
        graph.remove_node(node.name)
        graph.make_node(
            "Sub", [one, erf], name=node.name, outputs=node.output, dtypes=[dtype], shapes=[shape]
        )
