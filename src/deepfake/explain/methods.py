"""The explanation methods by name. Each shows the places of a face that raise the logit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deepfake.explain.feature_maps import grad_cam_plus_plus, patch_logits
from deepfake.explain.integrated_gradients import integrated_gradients
from deepfake.explain.occlusion import occlusion
from deepfake.explain.random_occlusion import random_occlusion
from deepfake.explain.tokens import attention_flow, patch_tokens, token_cam
from deepfake.networks.detector import Detector, Served
from deepfake.networks.frozen import FrozenDetector

SCORES_ONLY = ("occlusion",)  # needs no gradients, so any engine can compute it

# (model, crops [n, size, size, 3] in RGB 0..255, references) -> heat float32 [n, size, size], 0..1.
Explainer = Callable[[Detector, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Method:
    """A method's functions for the kinds of model.

    Attributes:
        of_maps: for networks that average feature maps over places; None: it does not apply.
        of_tower: for frozen towers, which give class tokens; None: it does not apply.
    """

    of_maps: Callable[..., np.ndarray] | None
    of_tower: Callable[..., np.ndarray] | None

    def fitting(self, model: Served) -> Callable[..., np.ndarray] | None:
        """The function for a model; None: the method does not apply."""
        return self.of_tower if isinstance(model, FrozenDetector) else self.of_maps

    def __call__(self, model: Served, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
        """Heat float32 [n, size, size], 0..1, of crops [n, size, size, 3], RGB 0..255.

        Raises:
            ValueError: the method does not apply to the model.
        """
        explain = self.fitting(model)
        if explain is None:
            raise ValueError("this method does not apply to this kind of model")
        return explain(model, crops, references)


METHODS: dict[str, Method] = {
    "gradcam++": Method(grad_cam_plus_plus, token_cam),
    "patch-logits": Method(patch_logits, patch_tokens),
    "attention-flow": Method(None, attention_flow),
    "integrated-gradients": Method(integrated_gradients, integrated_gradients),
    "occlusion": Method(occlusion, random_occlusion),
}
TITLES = {
    "gradcam++": "Grad-CAM++",
    "patch-logits": "Patch logits",
    "attention-flow": "Attention flow",
    "integrated-gradients": "Integrated gradients",
    "occlusion": "Occlusion",
}


def methods_of(model: Detector) -> dict[str, Explainer]:
    """The methods that apply to a model, by name."""
    return {name: method for name, method in METHODS.items() if method.fitting(model) is not None}


def skipped(model: Detector) -> list[str]:
    """Sentences that name the methods that do not apply to a model."""
    kind = "a frozen tower" if isinstance(model, FrozenDetector) else "a network with feature maps"
    return [
        f"{TITLES[name]} does not apply to {kind}." for name in METHODS if name not in methods_of(model)
    ]
