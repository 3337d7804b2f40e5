"""The detector: a flat functional graph from a face crop to one logit.

Keras is imported only where a graph is built, because a frozen detector runs without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from deepfake.base.stage import file_digest, read_json, write_json
from deepfake.networks.frozen import FROZEN, FrozenDetector
from deepfake.networks.head import load_head, save_head
from deepfake.networks.onnx import OnnxDetector

if TYPE_CHECKING:
    import keras

WEIGHTS = "model.weights.h5"
Detector: TypeAlias = "keras.Model | FrozenDetector"  # both: `predict_on_batch` and `input_shape`
Served: TypeAlias = "Detector | OnnxDetector"  # what gives verdicts; it has both too

BRANCHES = ("rgb", "residual", "spectral")
_LEAVE_ONE_OUT = "leave_one_out.parquet"  # see `FrozenDetector`
_LISTS = ("branches", "residuals", "layers")  # JSON knows no tuples


@dataclass(frozen=True)
class Architecture:
    """All facts that are needed to build the graph again.

    Attributes:
        model: `hybrid-<name of the RGB backbone>`, or `frozen-<name of the tower>`.
        size: side of the input crop in pixels.
        dropout: share of fused features dropped in training.
        batch_norm_momentum: of the running statistics.
        branches: some of `BRANCHES`, in any order.
        residuals: some of `RESIDUALS`, in any order: the input of the residual branch. Ignored without it.
        backbone_end: the backbone ends after the layer of this name; None: the whole backbone.
        layers: class tokens that the head of a frozen tower reads; empty for all other models.
    """

    model: str
    size: int
    dropout: float
    batch_norm_momentum: float
    # Older releases had no such choice: these defaults give a file without the keys its old meaning.
    branches: tuple[str, ...] = ("rgb", "residual")
    residuals: tuple[str, ...] = ("srm",)
    backbone_end: str | None = None
    layers: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {key: list(getattr(self, key)) for key in _LISTS}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Architecture:
        """Read what `to_json` made."""
        lists = {key: tuple(content[key]) for key in _LISTS if key in content}
        facts: dict[str, Any] = content | lists
        return cls(**facts)


def build_detector(architecture: Architecture, backbone_weights: str | None = None) -> keras.Model:
    """The hybrid classifier. With the backbone resnet50 it is the Hybrid CNN + ResNet50.

    Up to three branches read a crop. Their vectors are joined and give one logit (above 0: fake).

    Args:
        architecture: what to build.
        backbone_weights: see `backbone`.

    Returns:
        A model from [batch, size, size, 3] (RGB, 0..255) to float32 [batch, 1].

    Raises:
        TrainingError: the backbone's weights can't be had, or it can't read crops of this size.
        ValueError: a name in the architecture is unknown, or it names no branch.
    """
    import keras

    from deepfake.networks.branches import RESIDUALS, residual_branch, rgb_branch, spectral_branch

    _check_names(architecture)
    pictures = keras.Input((architecture.size, architecture.size, 3), name="pictures")
    builders = {
        "rgb": lambda: rgb_branch(
            pictures,
            architecture.model.removeprefix("hybrid-"),
            backbone_weights,
            architecture.backbone_end,
        ),
        "residual": lambda: residual_branch(pictures, _in_order(architecture.residuals, RESIDUALS)),
        "spectral": lambda: spectral_branch(pictures),
    }
    vectors = [builders[branch]() for branch in _in_order(architecture.branches, BRANCHES)]
    fused = vectors[0] if len(vectors) == 1 else keras.layers.Concatenate(name="fused")(vectors)
    fused = keras.layers.BatchNormalization(name="fused_norm")(fused)  # the branches differ in scale
    fused = keras.layers.Dropout(architecture.dropout, name="fused_dropout")(fused)
    # float32 under every dtype policy: a rounded logit can't be calibrated.
    logit = keras.layers.Dense(1, dtype="float32", name="logit")(fused)
    model = keras.Model(pictures, logit, name=architecture.model.replace("-", "_"))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = architecture.batch_norm_momentum
    return model


def _in_order(chosen: Iterable[str], known: Iterable[str]) -> list[str]:
    """The chosen names in the order of `known`, so that weights fit for any order in params."""
    return [name for name in known if name in chosen]


def _check_names(architecture: Architecture) -> None:
    from deepfake.networks.backbones import BACKBONES
    from deepfake.networks.branches import RESIDUALS

    models = [f"hybrid-{name}" for name in BACKBONES]
    for key, chosen, known in (
        ("model", [architecture.model], models),
        ("branch", architecture.branches, BRANCHES),
        ("residual", architecture.residuals, RESIDUALS),
    ):
        unknown = [name for name in chosen if name not in known]
        if unknown or not chosen:
            raise ValueError(f"unknown {key} {', '.join(unknown) or 'none'!r}; known: {', '.join(known)}")


def backbone_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers that pretrained weights fill. Phase 1 freezes them."""
    from deepfake.networks.branches import OWN_LAYERS

    return [layer for layer in model.layers if not layer.name.startswith(OWN_LAYERS)]


def save_detector(model: Detector, architecture: Architecture, folder: Path) -> str:
    """Write `model.weights.h5` and `architecture.json`; returns the weights' sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model, FrozenDetector):
        save_head(model.head, folder / WEIGHTS)  # the tower is not saved: its digest finds it again
        if model.leave_one_out is not None:
            model.leave_one_out.to_parquet(folder / _LEAVE_ONE_OUT, index=False)
    else:
        model.save_weights(folder / WEIGHTS)
    write_json(folder / "architecture.json", architecture.to_json())
    return file_digest(folder / WEIGHTS)


def load_detector(folder: Path) -> tuple[Detector, Architecture]:
    """Read the output of `save_detector` as a float32 inference model."""
    architecture = Architecture.from_json(read_json(folder / "architecture.json"))
    model, logits = load_detector_model(architecture, folder / WEIGHTS), folder / _LEAVE_ONE_OUT
    if isinstance(model, FrozenDetector) and logits.is_file():
        import pandas as pd

        model.leave_one_out = pd.read_parquet(logits)
    return model, architecture


def load_detector_model(architecture: Architecture, weights: Path) -> Detector:
    """Build the graph in float32 and load trained weights.

    Inference never runs in mixed precision, so pipeline, app, CLI and REST get the same score.
    """
    if architecture.model == FROZEN:
        return FrozenDetector(load_head(weights))
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        model = build_detector(architecture)
    finally:
        keras.config.set_dtype_policy(policy)
    model.load_weights(weights)
    model.trainable = False
    return model
