"""Transformer backbones from keras-hub, built into the caller's graph. keras-hub is imported on use."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from deepfake.base.errors import TrainingError

# ViT-Tiny (Touvron et al. 2021) on patches of 8 pixels: with 16, a crop of 96 would have only 6x6 tokens.
VIT: dict[str, Any] = {"patch_size": 8, "num_layers": 12, "num_heads": 3, "hidden_dim": 192, "mlp_dim": 768}
# Swin-T (Liu et al. 2021) without its last stage, on windows of 4. With a crop of 96, that stage would have
# 3x3 tokens, fewer than a window.
SWIN: dict[str, Any] = {
    "patch_size": 4,
    "embed_dim": 96,
    "depths": (2, 2, 6),
    "num_heads": (3, 6, 12),
    "window_size": 4,
}


def vit(pictures: Any, weights: str | None) -> Any:
    """A Vision Transformer (Dosovitskiy et al. 2021): its patch tokens as maps."""
    size = _side(pictures, multiple=VIT["patch_size"], least=VIT["patch_size"])
    model = _keras_hub().models.ViTBackbone((size, size, 3), use_class_token=False, **VIT)
    _as_constant(model.layers[1], "position_ids")
    return _lay_into(model, pictures, weights, size // VIT["patch_size"])


def swin(pictures: Any, weights: str | None) -> Any:
    """A Swin transformer, with attention in windows that shift from block to block: its tokens as maps."""
    shrunk = SWIN["patch_size"] * 2 ** (len(SWIN["depths"]) - 1)
    size = _side(pictures, multiple=shrunk, least=shrunk * SWIN["window_size"])
    with warnings.catch_warnings():
        # Keras warns that a mask is lost. The attention gets it as an argument, so nothing is lost.
        warnings.filterwarnings("ignore", "Layer 'attn'", UserWarning)
        model = _keras_hub().models.SwinTransformerBackbone((size, size, 3), **SWIN)
    for block in [block for stage in model.stages for block in stage.blocks]:
        block.attn.supports_masking = True  # no such warning when the graph is traced again
        _as_constant(block.attn, "relative_position_index")
    return _lay_into(model, pictures, weights, size // shrunk)


def _keras_hub() -> Any:
    try:
        import keras_hub
    except ImportError as error:
        raise TrainingError(
            "train.model: transformers come from keras-hub: pip install 'deepfake-detector[transformers]'"
        ) from error
    return keras_hub


def _as_constant(layer: keras.layers.Layer, name: str) -> None:
    """Make a tensor attribute of a layer a constant. Otherwise an export makes it one more input."""
    setattr(layer, name, keras.ops.convert_to_numpy(getattr(layer, name)))


def _side(pictures: Any, multiple: int, least: int) -> int:
    size = int(pictures.shape[1])
    if size % multiple or size < least:
        raise TrainingError(
            f"preprocess.size: this train.model needs a multiple of {multiple} from {least} up, got {size}"
        )
    return size


def _lay_into(model: keras.Model, pictures: Any, weights: str | None, grid: int) -> Any:
    """Maps [batch, grid, grid, channels] of a chain of layers that ends in one token per place."""
    if weights == "imagenet":
        raise ValueError("keras-hub's presets have other patches and sizes than this backbone")
    if weights is not None:
        model.load_weights(weights)
    maps = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rgb_scale")(pictures)
    for layer in model.layers[1:]:  # layer by layer: Grad-CAM can't see into a nested model
        maps = layer(maps)
    return keras.layers.Reshape((grid, grid, maps.shape[-1]), name="rgb_grid")(maps)
