"""The spectral branch's features: an azimuthal power profile and block-DCT statistics, in float32.

The Fourier transform is a product with fixed cosine and sine matrices. It is exact, and it can be exported
to ONNX; an FFT operator can't.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from deepfake.networks.layers import Float32Layer, add_fixed_weight

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in JPEG
_POWER_FLOOR = 1e-3  # keeps the log finite; far below 1/12, the power of rounding to grey levels
_BLOCK = 8


def _luminance(pictures: Any) -> Any:
    """[batch, height, width, 3] -> [batch, height, width]."""
    return ops.sum(pictures * _LUMA, axis=-1)


@keras.saving.register_keras_serializable(package="deepfake")
class AzimuthalProfile(Float32Layer):
    """Radial means of the log power spectrum of the luminance.

    Durall et al. 2020, "Watch Your Up-Convolution". The mean is subtracted and a Hann window is applied:
    opposite borders of a crop differ, which would add a cross to the spectrum. Power is divided by the
    window's power, so white noise of variance v has power v at every frequency and picture size.

    Args:
        bins: rings of equal width from frequency 0 to the Nyquist frequency; the corners are not used.

    Shapes: [batch, size, size, 3], 0..255 -> [batch, bins], natural logarithms.
    """

    def __init__(self, bins: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = bins

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        size = input_shape[1]
        if size is None or size != input_shape[2] or size < 2 * self.bins:
            raise ValueError(f"{self.bins} rings need square pictures of at least {2 * self.bins} pixels")
        hann = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
        window = np.outer(hann, hann)
        angles = 2.0 * np.pi * np.outer(np.arange(size), np.arange(size)) / size
        self.window = add_fixed_weight(self, "window", window / np.sqrt(np.sum(window**2)))
        self.cosine = add_fixed_weight(self, "cosine", np.cos(angles))
        self.sine = add_fixed_weight(self, "sine", np.sin(angles))
        self.rings = add_fixed_weight(self, "rings", _rings(size, self.bins))

    def call(self, pictures: Any) -> Any:
        grey = _luminance(pictures)
        grey = (grey - ops.mean(grey, axis=(1, 2), keepdims=True)) * self.window
        half = self.rings.shape[0] // grey.shape[1]  # a real picture's spectrum is symmetric
        cosine, sine = self.cosine[:, :half], self.sine[:, :half]
        across_cosine, across_sine = ops.matmul(grey, cosine), ops.matmul(grey, sine)
        real = ops.matmul(self.cosine, across_cosine) - ops.matmul(self.sine, across_sine)
        imaginary = ops.matmul(self.sine, across_cosine) + ops.matmul(self.cosine, across_sine)
        power = ops.log(ops.square(real) + ops.square(imaginary) + _POWER_FLOOR)
        return ops.matmul(ops.reshape(power, (-1, self.rings.shape[0])), self.rings)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.bins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins}


def _rings(size: int, bins: int) -> np.ndarray:
    """float32 [size * (size // 2 + 1), bins]: the weight of each frequency in each ring's mean."""
    down, across = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    # Ring k holds the radii in (k, k + 1]. Rounding first: float errors must not move a radius on a border.
    ring = np.ceil(np.round(np.hypot(down, across) * 2 * bins, 9)).astype(int).ravel() - 1
    # A column counts twice, for itself and its mirror image. The first column has none, nor has the last
    # column of an even size.
    share = np.where((across == 0.0) | (across == 0.5), 1.0, 2.0) + np.zeros_like(down)
    inside = np.flatnonzero((ring >= 0) & (ring < bins))
    weights = np.zeros((ring.size, bins))
    weights[inside, ring[inside]] = share.ravel()[inside]
    return (weights / weights.sum(axis=0)).astype(np.float32)


@keras.saving.register_keras_serializable(package="deepfake")
class BlockDCT(Float32Layer):
    """Mean log magnitude of each 8x8 DCT coefficient of the luminance, without the constant one.

    Up-sampling and compression leave traces in these means (Frank et al. 2020, "Leveraging Frequency
    Analysis for Deep Fake Image Recognition"; Giudice et al. 2021, "Fighting Deepfakes by Detecting GAN DCT
    Anomalies").

    Shapes: [batch, height, width, 3], 0..255 -> [batch, 63], log(1 + magnitude), row by row of the block.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = add_fixed_weight(self, "kernel", _dct_kernels())

    def call(self, pictures: Any) -> Any:
        grey = ops.expand_dims(_luminance(pictures), -1)
        blocks = ops.conv(grey, self.kernel, strides=_BLOCK, padding="valid")
        return ops.mean(ops.log(1.0 + ops.abs(blocks)), axis=(1, 2))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], _BLOCK * _BLOCK - 1)


def _dct_kernels() -> np.ndarray:
    """float32 [8, 8, 1, 63]: the basis of the orthonormal DCT-II without the constant."""
    place = np.arange(_BLOCK)
    basis = np.cos(np.pi * (place[None, :] + 0.5) * place[:, None] / _BLOCK) * np.sqrt(2.0 / _BLOCK)
    basis[0] /= np.sqrt(2.0)
    pairs = np.einsum("uy,vx->yxuv", basis, basis).reshape(_BLOCK, _BLOCK, 1, -1)
    return pairs[..., 1:].astype(np.float32)
