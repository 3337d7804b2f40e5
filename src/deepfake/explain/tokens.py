"""How the places of a picture influence the logit of a frozen tower. Its head reads only class tokens.

A place influences a class token through the attention of later blocks. The last block's places therefore
have no influence.
"""

from __future__ import annotations

from math import isqrt

import numpy as np

from deepfake.explain.feature_maps import weighted_maps
from deepfake.explain.heat import batches, enlarged, stretched, with_gradients
from deepfake.networks.frozen import FrozenDetector

_BATCH = 4  # a gradient through ViT-B/16 needs 200 MB per picture
_BLOCK = 10  # of Grad-CAM++'s grid, from 0: the last with influence on the logit; 8 and 9 score no better


def token_cam(model: FrozenDetector, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Grad-CAM++ on the grid of tokens after a block. See `grad_cam_plus_plus` for arguments and result."""
    from deepfake.networks.clip import token_sequences

    tokens = token_sequences(model.twin)[_BLOCK]
    pairs = [
        (grid(seen[0]), grid(slopes[0]))
        for seen, slopes in with_gradients(model.twin, [tokens], crops, _BATCH)
    ]
    return _heat(np.concatenate([weighted_maps(*pair) for pair in pairs]), crops)


def patch_tokens(model: FrozenDetector, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Each patch's logit: the head reads the patch's tokens in place of the class tokens.

    Args:
        model: a frozen detector.
        crops: [n, size, size, 3], RGB 0..255.
        references: not used.

    Returns:
        float32 [n, size, size], stretched to 0..1: 0 is the lowest logit, 1 the highest.
    """
    import keras

    from deepfake.networks.clip import token_sequences

    seen = keras.Model(model.twin.inputs, token_sequences(model.twin))
    maps = []
    for part in batches(crops, _BATCH):
        pictures = keras.ops.convert_to_tensor(part, "float32")
        tokens = np.stack([np.asarray(one)[:, 1:] for one in seen(pictures, training=False)], axis=2)
        number, places, *rest = tokens.shape
        maps.append(model.head(tokens.reshape(-1, *rest)).reshape(number, places))
    return _heat(_square(np.concatenate(maps)), crops)


def attention_flow(model: FrozenDetector, crops: np.ndarray, references: np.ndarray) -> np.ndarray:
    """The class tokens' attention, weighted by the logit's gradient and multiplied through all blocks.

    Chefer et al. 2021, arXiv 2103.15679, equations 5 and 6. See `patch_tokens` for arguments and result.
    """
    from deepfake.networks.clip import attention_weights

    maps = [
        followed(*pair) for pair in with_gradients(model.twin, attention_weights(model.twin), crops, _BATCH)
    ]
    return _heat(_square(np.concatenate(maps)), crops)


def followed(weights: list[np.ndarray], slopes: list[np.ndarray]) -> np.ndarray:
    """The influence of each place on the class token, through all blocks.

    Args:
        weights: one tensor of attention weights per block, [n, heads, 1 + places, 1 + places].
        slopes: the logit's gradients with respect to the weights, of the same shapes.

    Returns:
        [n, places], at least 0.
    """
    flow = np.eye(weights[0].shape[-1], dtype=np.float32)[None]
    for weight, slope in zip(weights, slopes, strict=True):
        flow = flow + np.maximum(weight * slope, 0.0).mean(axis=1) @ flow
    return np.asarray(flow[:, 0, 1:])


def grid(tokens: np.ndarray) -> np.ndarray:
    """Tokens as a grid, without the class token: [n, 1 + side * side, w] -> [n, side, side, w]."""
    return _square(tokens[:, 1:])


def _square(places: np.ndarray) -> np.ndarray:
    side = isqrt(places.shape[1])
    return places.reshape(len(places), side, side, *places.shape[2:])


def _heat(maps: np.ndarray, crops: np.ndarray) -> np.ndarray:
    return stretched(enlarged(maps, crops.shape[1]))
