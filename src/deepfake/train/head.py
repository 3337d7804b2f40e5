"""The non-negative head: a last phase in which no feature may speak for "real"."""

from __future__ import annotations

import keras
from keras import ops

FEATURES = "fused_norm"  # the layer whose output the head reads
LOGIT = "logit"


def make_non_negative(model: keras.Model) -> None:
    """Freeze all but the head, and hold its weights at or above zero from now on.

    "Stay-Positive" (Sundara Rajan and Lee 2025, arXiv 2502.07778): a picture is fake because of traces
    that a generator left, never real because of something that the training's reals had. The last layer
    is trained again with non-negative weights on what the frozen network finds; with features at or
    above zero (after a ReLU, as there), no finding can lower the logit. Other features count from
    their lowest value on, and the logit still never falls when one of them grows.

    Doing it twice changes nothing.
    """
    norm, head = model.get_layer(FEATURES), model.get_layer(LOGIT)
    for layer in model.layers:
        layer.trainable = layer is head
    # The head reads normalised features: a negative scale there would turn one round. Both signs
    # change together, which leaves the function as it is.
    sign = ops.where(norm.gamma < 0, -1.0, 1.0)
    norm.gamma.assign(norm.gamma * sign)
    norm.beta.assign(norm.beta * sign)
    head.kernel.assign(ops.maximum(head.kernel * sign[:, None], 0.0))
    head.kernel.constraint = keras.constraints.NonNeg()
