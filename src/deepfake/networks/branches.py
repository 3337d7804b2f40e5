"""The branches of the detector. Each gives one vector per picture; the head joins them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from deepfake.networks.backbones import backbone
from deepfake.networks.residuals import ConstrainedResidual, HighPassResidual, NeighbourResidual
from deepfake.networks.spectral import AzimuthalProfile, BlockDCT

# The last feature maps of the two convolutional branches. Grad-CAM++ reads them.
RGB_FEATURES = "rgb_features"
RESIDUAL_FEATURES = "residual_features"

# The names of the branches' and the head's layers start with these. All other layers are the backbone's.
OWN_LAYERS = ("pictures", "high_pass", "residual", "rgb_", "spectral", "fused", "logit")

RESIDUALS = {
    "srm": lambda: HighPassResidual(name="high_pass"),
    "npr": lambda: NeighbourResidual(name="residual_npr"),
    "constrained": lambda: ConstrainedResidual(name="residual_constrained"),
}


def rgb_branch(pictures: Any, name: str, weights: str | None, end: str | None = None) -> Any:
    """A backbone on RGB, which sees content: [batch, channels of its last feature maps]."""
    maps = keras.layers.Activation("linear", name=RGB_FEATURES)(backbone(name, pictures, weights, end))
    return keras.layers.GlobalAveragePooling2D(name="rgb_pooled")(maps)


def residual_branch(pictures: Any, kinds: Sequence[str]) -> Any:
    """A small CNN on high-pass residuals, which sees noise and resampling: [batch, 128].

    Its first block keeps the full resolution, because the traces are in single pixels.

    Args:
        pictures: tensor [batch, height, width, 3], RGB, 0..255.
        kinds: keys of `RESIDUALS`; their outputs are joined along the channels.
    """
    seen = [RESIDUALS[kind]()(pictures) for kind in kinds]
    maps = seen[0] if len(seen) == 1 else keras.layers.Concatenate(name="residual_kinds")(seen)
    for number, (filters, stride) in enumerate(((24, 1), (32, 2), (64, 2), (128, 2))):
        name = f"residual{number}"
        maps = keras.layers.Conv2D(
            filters, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv"
        )(maps)
        maps = keras.layers.BatchNormalization(name=f"{name}_norm")(maps)
        maps = keras.layers.Activation("relu", name=f"{name}_relu")(maps)
    maps = keras.layers.Activation("linear", name=RESIDUAL_FEATURES)(maps)
    return keras.layers.GlobalAveragePooling2D(name="residual_pooled")(maps)


def spectral_branch(pictures: Any) -> Any:
    """Two dense layers on a power profile and on block-DCT statistics: float32 [batch, 32]."""
    features = keras.layers.Concatenate(name="spectral_kinds", dtype="float32")(
        [AzimuthalProfile(name="spectral_profile")(pictures), BlockDCT(name="spectral_dct")(pictures)]
    )
    # Log powers have very different ranges at different frequencies.
    features = keras.layers.BatchNormalization(name="spectral_norm", dtype="float32")(features)
    for number, units in enumerate((64, 32)):
        features = keras.layers.Dense(
            units, activation="relu", name=f"spectral{number}_dense", dtype="float32"
        )(features)
    return features
