"""The non-negative head: in a last phase, no feature may lower the logit."""

from __future__ import annotations

import keras
from keras import ops

FEATURES = "fused_norm"  # layer before the head
LOGIT = "logit"


def make_non_negative(model: keras.Model) -> None:
    """Freeze all layers except the head, and keep the head's weights at or above zero.

    "Stay-Positive" (Sundara Rajan and Lee 2025, arXiv 2502.07778): traces of a generator make a picture
    fake, but no property of the training's reals makes it real. The last layer is trained again with
    non-negative weights on the frozen features. The paper's features are at or above zero (after a ReLU),
    so none can lower the logit. Here some features can be negative, but the logit still never falls when a
    feature grows.

    A second call changes nothing.
    """
    norm, head = model.get_layer(FEATURES), model.get_layer(LOGIT)
    for layer in model.layers:
        layer.trainable = layer is head
    # The head reads normalised features. A negative scale would reverse a feature, so both signs change
    # together. The function stays the same.
    sign = ops.where(norm.gamma < 0, -1.0, 1.0)
    norm.gamma.assign(norm.gamma * sign)
    norm.beta.assign(norm.beta * sign)
    head.kernel.assign(ops.maximum(head.kernel * sign[:, None], 0.0))
    head.kernel.constraint = keras.constraints.NonNeg()
