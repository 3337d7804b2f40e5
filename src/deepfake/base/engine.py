"""The engine: which program computes a registered model's logits, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

GRAPH, ENGINE = "detector.onnx", "engine.json"  # in the folder that the stage export writes
NOT_EXPORTED = "no ONNX export lies beside the model"


@dataclass(frozen=True)
class Engine:
    """The decision of the stage export; it is stored with the model.

    Attributes:
        runtime: `onnx`: ONNX Runtime, without Keras; `keras`; `tower`: a frozen model, whose tower is an
            ONNX graph from the start.
        largest_difference: scores of ONNX Runtime differ by at most this power of ten from those of Keras;
            None: not measured. The digits below are noise, and other processors have others.
        pictures: how many were compared.
        refused: why the graph is not used; empty if it is.
    """

    runtime: Literal["onnx", "keras", "tower"]
    largest_difference: float | None = None
    pictures: int = 0
    refused: str = ""

    @property
    def sentence(self) -> str:
        """The decision in words, for the model's page."""
        if self.runtime == "tower":
            return "ONNX Runtime computes the tower, and NumPy the head."
        if self.runtime == "keras":
            return f"Keras computes the scores, which needs TensorFlow: {self.refused}."
        return (
            f"ONNX Runtime computes the scores. On {self.pictures} pictures and their views they differ "
            f"from those of Keras, the reference, by at most {self.largest_difference:g}."
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Engine:
        """Read what `to_json` made."""
        return cls(**content)
