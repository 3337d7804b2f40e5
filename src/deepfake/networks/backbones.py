"""RGB backbones. They are built into the caller's graph: a nested model breaks Grad-CAM in Keras 3."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras

from deepfake.base.errors import TrainingError
from deepfake.networks.clip import clip_backbone
from deepfake.networks.efficientnet_lite import pretrained_lite
from deepfake.networks.layers import ImageNetCaffe
from deepfake.networks.transformers import swin, vit
from deepfake.pretrained.clip_weights import NAME as CLIP
from deepfake.pretrained.wheels import wheel_of


def backbone(name: str, pictures: Any, weights: str | None, end: str | None = None) -> Any:
    """The last feature maps of a backbone.

    Args:
        name: a key of `BACKBONES`.
        pictures: tensor [batch, height, width, 3], RGB, 0..255.
        weights: `imagenet` (Keras downloads them once), `wheel` (from a package), `preset` (only for CLIP:
            keras-hub downloads them once), the path of a `.weights.h5`/`.h5` file for the whole graph,
            or None for random weights.
        end: name of the layer that gives the output; later layers are cut off. None: the last layer.

    Returns:
        A tensor [batch, smaller height, smaller width, channels].

    Raises:
        TrainingError: the weights can't be had, or there is no such layer. The text says what to do.
    """
    if weights == "wheel":
        wheel_of(name)  # its error names the backbones that have one
    elif weights == "preset":
        if name != CLIP:
            raise TrainingError(f"train.backbone_weights: only {CLIP} has a preset; {name} has none")
    elif weights is not None and weights != "imagenet" and not Path(weights).is_file():
        raise TrainingError(
            f"train.backbone_weights: no file {weights}: give a path, wheel, preset, imagenet or null"
        )
    try:
        built = BACKBONES[name](pictures, weights)
    except TrainingError:
        raise
    except Exception as error:
        if weights is None:
            raise
        raise TrainingError(
            f"train.backbone_weights: {weights} can't be loaded ({str(error).splitlines()[0][:160]}). "
            "Without a network: put a weights file on this machine and give its path, or set null "
            "to train from scratch."
        ) from error
    maps = built if isinstance(built, list) else [built]
    return maps[-1] if end is None else _cut(keras.Model(pictures, maps), end)


def _cut(whole: keras.Model, end: str) -> Any:
    single = {layer.name: layer.output for layer in whole.layers if not isinstance(layer.output, list)}
    outputs = {name: output for name, output in single.items() if len(output.shape) == 4}
    if end not in outputs:
        some = ", ".join([*outputs][-1 :: -max(1, len(outputs) // 8)])
        raise TrainingError(f"train.backbone_end: no layer {end} gives feature maps; these do: {some}")
    return outputs[end]


def _resnet50(pictures: Any, weights: str | None) -> Any:
    """ResNet50 (He et al. 2016) without its classifier."""
    values = ImageNetCaffe(name="caffe")(pictures)
    return keras.applications.ResNet50(include_top=False, weights=weights, input_tensor=values).output


def _efficientnetv2_b0(pictures: Any, weights: str | None) -> Any:
    """EfficientNetV2-B0 (Tan and Le 2021); it scales 0..255 itself."""
    return keras.applications.EfficientNetV2B0(
        include_top=False, weights=weights, input_tensor=pictures
    ).output


def _mobilenetv3_small(pictures: Any, weights: str | None) -> Any:
    """MobileNetV3-Small (Howard et al. 2019); it scales 0..255 itself."""
    return keras.applications.MobileNetV3Small(
        include_top=False, weights=weights, input_tensor=pictures
    ).output


def _convnext_tiny(pictures: Any, weights: str | None) -> Any:
    """ConvNeXt-T (Liu et al. 2022); it scales 0..255 itself."""
    return keras.applications.ConvNeXtTiny(include_top=False, weights=weights, input_tensor=pictures).output


def _xception(pictures: Any, weights: str | None) -> Any:
    """Xception (Chollet 2017), the reference of FaceForensics++. Its weights expect -1..1."""
    values = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rgb_scale")(pictures)
    return keras.applications.Xception(include_top=False, weights=weights, input_tensor=values).output


def _small(pictures: Any, weights: str | None) -> Any:
    """Five convolutions with 0.2 million weights, for CPUs.

    The receptive field is 15 pixels, because down-sampling comes late. Traces of generation are local, and
    a network that never sees a whole face can't memorise faces.
    """
    if weights == "imagenet":
        raise ValueError("the small backbone has no imagenet weights")
    maps = keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="small_scale")(pictures)
    for number, (filters, stride) in enumerate(((32, 1), (48, 1), (64, 2), (96, 1), (128, 2))):
        maps = keras.layers.Conv2D(
            filters, 3, strides=stride, padding="same", use_bias=False, name=f"small{number}_conv"
        )(maps)
        maps = keras.layers.BatchNormalization(name=f"small{number}_norm")(maps)
        maps = keras.layers.Activation("relu", name=f"small{number}_relu")(maps)
    if weights is not None:
        keras.Model(pictures, maps).load_weights(weights)
    return maps


# Params use these names: `hybrid-<name>` is a `train.model`. A builder returns the last feature maps, or a
# list of maps, the last one at its end (CLIP: its maps are side outputs of the graph).
BACKBONES: dict[str, Callable[[Any, str | None], Any]] = {
    "resnet50": _resnet50,
    "efficientnet-lite0": partial(pretrained_lite, 0),
    "efficientnet-lite1": partial(pretrained_lite, 1),
    "efficientnet-lite2": partial(pretrained_lite, 2),
    "efficientnetv2-b0": _efficientnetv2_b0,
    "mobilenetv3-small": _mobilenetv3_small,
    "convnext-tiny": _convnext_tiny,
    "xception": _xception,
    "vit-tiny": vit,
    "swin-tiny": swin,
    CLIP: clip_backbone,
    "small": _small,
}
