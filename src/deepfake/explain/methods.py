"""The explanation methods by name: each shows which places of a face raise the logit."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from deepfake.explain.gradcam import grad_cam_plus_plus
from deepfake.explain.integrated_gradients import integrated_gradients
from deepfake.explain.occlusion import occlusion
from deepfake.explain.patch_logits import patch_logits

# (model, crops [n, size, size, 3] in RGB 0..255, references) -> heat float32 [n, size, size], 0..1.
Method = Callable[[keras.Model, np.ndarray, np.ndarray], np.ndarray]

METHODS: dict[str, Method] = {
    "gradcam++": grad_cam_plus_plus,
    "patch-logits": patch_logits,
    "integrated-gradients": integrated_gradients,
    "occlusion": occlusion,
}
TITLES = {
    "gradcam++": "Grad-CAM++",
    "patch-logits": "Patch logits",
    "integrated-gradients": "Integrated gradients",
    "occlusion": "Occlusion",
}
