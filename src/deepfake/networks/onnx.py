"""A detector as an ONNX graph: Keras writes it, ONNX Runtime computes it without Keras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfake.base.errors import TrainingError

if TYPE_CHECKING:
    import keras


class OnnxDetector:
    """Judges crops like a `keras.Model` with one logit.

    Attributes:
        input_shape: (None, size, size, 3), as in Keras.
    """

    def __init__(self, graph: Path, threads: int = 0) -> None:
        """Load the output of `export_onnx`.

        Args:
            threads: that share the work on one batch; 0: one per core.

        Raises:
            TrainingError: the file is missing or is no such graph.
        """
        import onnxruntime
        from onnxruntime.capi.onnxruntime_pybind11_state import (
            Fail,
            InvalidArgument,
            InvalidGraph,
            InvalidProtobuf,
        )

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors; its warnings are about the graph, which was checked
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )
        except (Fail, InvalidGraph, InvalidProtobuf, InvalidArgument) as error:
            why = str(error).splitlines()[0][:200]
            raise TrainingError(f"{graph} can't be loaded ({why}): register the model again") from error
        (entry,) = self._session.get_inputs()
        self._entry = entry.name
        self.input_shape = (None, *entry.shape[1:])

    def predict_on_batch(self, crops: np.ndarray) -> np.ndarray:
        """Logits, float32 [n, 1], of crops [n, size, size, 3], RGB 0..255; threads may share a detector."""
        pictures = np.ascontiguousarray(crops, np.float32)
        logits: np.ndarray = self._session.run(None, {self._entry: pictures})[0]
        return logits


def export_onnx(model: keras.Model, path: Path) -> None:
    """Write a float32 detector. The file takes any batch size and gives the same logits within 1e-4.

    Args:
        model: from `build_detector` or `load_detector`, on the TensorFlow backend.
        path: of the `.onnx` file.

    Raises:
        TrainingError: tf2onnx is not installed.
    """
    import keras

    try:
        from tf2onnx.handler import tf_op
    except ImportError as error:
        raise TrainingError(
            "ONNX export needs tf2onnx: pip install 'deepfake-detector[pipeline]'"
        ) from error
    tf_op("Erfc")(_Erfc)
    pictures = keras.InputSpec(shape=model.input_shape, dtype="float32", name="pictures")
    model.export(path, format="onnx", verbose=False, input_signature=[pictures])
    import onnx

    onnx.save(_plainly_named(onnx.load(path)), path)


def _plainly_named(model: Any) -> Any:
    """Names by order of use: tf2onnx counts in an order that changes from process to process.

    So the same model gives the same bytes.
    """
    graph = model.graph
    names = {"": "", graph.input[0].name: "pictures", graph.output[0].name: "logit"}
    for number, node in enumerate(graph.node):
        for tensors in (node.input, node.output):
            tensors[:] = [names.setdefault(name, f"t{len(names)}") for name in tensors]
        node.name = f"{node.op_type}{number}"
    for tensor in (*graph.initializer, *graph.input, *graph.output):
        tensor.name = names[tensor.name]
    weights = sorted(graph.initializer, key=lambda tensor: int(tensor.name[1:]))
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(weights)
    for tensor in (*graph.input, *graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model


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
