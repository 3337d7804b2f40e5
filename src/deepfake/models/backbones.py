"""RGB backbones, built into the caller's graph (a nested model breaks Grad-CAM in Keras 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from deepfake.errors import TrainingError


def resnet50(pictures: Any, weights: str | None) -> keras.Model:
    """ResNet50 (He et al. 2016) without its head.

    Args:
        pictures: tensor [batch, height, width, 3] as `ImageNetCaffe` gives it.
        weights: `imagenet` (Keras downloads them once), the path of a `.weights.h5`/`.h5` file for
            this graph, or None for random initialisation.

    Raises:
        TrainingError: the weights can't be had; the text says how to go on.
    """
    if weights is not None and weights != "imagenet" and not Path(weights).is_file():
        raise TrainingError(f"train.backbone_weights: no file {weights}; give a path, imagenet or null")
    try:
        return keras.applications.ResNet50(
            include_top=False, weights=weights, input_tensor=pictures, pooling=None
        )
    except Exception as error:
        if weights is None:
            raise
        raise TrainingError(
            f"train.backbone_weights: {weights} can't be loaded ({str(error).splitlines()[0][:160]}). "
            "Without a network: put a weights file on this machine and give its path, or set null "
            "to train from scratch."
        ) from error
