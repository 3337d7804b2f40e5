"""The detector: a flat functional graph from a face crop to one logit."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from deepfake.models.backbones import BACKBONES, backbone
from deepfake.models.layers import HighPassResidual
from deepfake.stage import read_json, write_json

WEIGHTS = "model.weights.h5"

# The last feature maps of the two branches: what Grad-CAM++ looks at.
RGB_FEATURES = "rgb_features"
RESIDUAL_FEATURES = "residual_features"


@dataclass(frozen=True)
class Architecture:
    """All that is needed to build the graph again, before weights are loaded.

    Attributes:
        model: `hybrid-<name of the RGB backbone>`.
        size: side of the input crop in pixels.
        dropout: share of fused features dropped in training.
        batch_norm_momentum: of the running statistics.
    """

    model: str
    size: int
    dropout: float
    batch_norm_momentum: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def build_detector(architecture: Architecture, backbone_weights: str | None = None) -> keras.Model:
    """The hybrid classifier; with the backbone resnet50, the Hybrid CNN + ResNet50.

    A backbone on RGB sees content; a CNN branch on fixed high-pass residuals sees noise and
    resampling at full resolution. Both are pooled, fused, and end in one logit (above 0: fake).

    Args:
        architecture: what to build.
        backbone_weights: see `backbone`.

    Returns:
        A model from [batch, size, size, 3] (RGB, 0..255) to float32 [batch, 1].

    Raises:
        ValueError: the architecture's name is unknown.
    """
    name = architecture.model.removeprefix("hybrid-")
    if name not in BACKBONES or name == architecture.model:
        known = ", ".join(f"hybrid-{name}" for name in BACKBONES)
        raise ValueError(f"unknown model {architecture.model!r}; known: {known}")
    pictures = keras.Input((architecture.size, architecture.size, 3), name="pictures")
    rgb = backbone(name, pictures, backbone_weights)
    rgb = keras.layers.Activation("linear", name=RGB_FEATURES)(rgb)
    residual = _residual_branch(HighPassResidual(name="high_pass")(pictures))
    fused = keras.layers.Concatenate(name="fused")(
        [
            keras.layers.GlobalAveragePooling2D(name="rgb_pooled")(rgb),
            keras.layers.GlobalAveragePooling2D(name="residual_pooled")(residual),
        ]
    )
    fused = keras.layers.BatchNormalization(name="fused_norm")(fused)  # the branches differ in scale
    fused = keras.layers.Dropout(architecture.dropout, name="fused_dropout")(fused)
    # float32 whatever the policy: a rounded logit can't be calibrated.
    logit = keras.layers.Dense(1, dtype="float32", name="logit")(fused)
    model = keras.Model(pictures, logit, name=architecture.model.replace("-", "_"))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = architecture.batch_norm_momentum
    return model


def _residual_branch(residual: Any) -> Any:
    """Four convolution blocks; the first two keep full resolution, where the traces live."""
    for number, (filters, stride) in enumerate(((24, 1), (32, 2), (64, 2), (128, 2))):
        name = f"residual{number}"
        residual = keras.layers.Conv2D(
            filters, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
        )(residual)
        residual = keras.layers.BatchNormalization(name=f"{name}_norm")(residual)
        residual = keras.layers.Activation("relu", name=f"{name}_relu")(residual)
    return keras.layers.Activation("linear", name=RESIDUAL_FEATURES)(residual)


def backbone_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers that pretrained weights fill: frozen in phase 1 when there are any."""
    ours = ("pictures", "high_pass", "residual", "rgb_", "fused", "logit")
    return [layer for layer in model.layers if not layer.name.startswith(ours)]


def save_detector(model: keras.Model, architecture: Architecture, folder: Path) -> str:
    """Write `model.weights.h5` and `architecture.json`; returns the weights' sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_weights(folder / WEIGHTS)
    write_json(folder / "architecture.json", architecture.to_json())
    return weights_digest(folder / WEIGHTS)


def load_detector(folder: Path) -> tuple[keras.Model, Architecture]:
    """Read what `save_detector` wrote, as a float32 inference model."""
    architecture = Architecture(**read_json(folder / "architecture.json"))
    return load_detector_model(architecture, folder / WEIGHTS), architecture


def load_detector_model(architecture: Architecture, weights: Path) -> keras.Model:
    """Build the graph in float32 and load trained weights.

    Inference never runs in mixed precision, so that every consumer gets the same score.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        model = build_detector(architecture)
    finally:
        keras.config.set_dtype_policy(policy)
    model.load_weights(weights)
    model.trainable = False
    return model


def weights_digest(path: Path) -> str:
    """sha256 of a weights file: the identity of a model."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
