"""A simulated camera: lens, Bayer sensor, demosaicing, tone curve. It turns a scene into a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.media.fields import Field, Pixels, as_field

# The four cells of the Bayer mosaic (RGGB): row, column and RGB channel of each.
MOSAIC = ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2))
DEMOSAIC = (cv2.COLOR_BayerRGGB2RGB, cv2.COLOR_BayerRGGB2RGB_EA)


@dataclass(frozen=True)
class Camera:
    """One camera with its settings.

    Attributes:
        blur: standard deviation of the blur of lens and focus, in pixels of the finished picture.
        exposure: gain on the scene's linear light.
        full_well: electrons at white; fewer electrons mean more shot noise.
        read_noise: standard deviation in electrons.
        white_balance: gains of red and blue; an error-free camera has (1, 1).
        gamma: exponent of the tone curve.
        contrast: strength of the S shape in the tone curve.
        sharpen: amount of unsharp masking after demosaicing.
        denoise: standard deviation in pixels of the smoothing after demosaicing.
        demosaic: index into `DEMOSAIC`.
    """

    blur: float
    exposure: float
    full_well: float
    read_noise: float
    white_balance: tuple[float, float]
    gamma: float
    contrast: float
    sharpen: float
    denoise: float
    demosaic: int


def sample_camera(rng: np.random.Generator) -> Camera:
    """Sample a camera. Sharpness and noise vary broadly, so that neither gives a fake away."""
    return Camera(
        blur=rng.uniform(0.35, 0.9),
        exposure=float(np.exp(rng.normal(0.1, 0.2))),
        full_well=float(np.exp(rng.uniform(np.log(500), np.log(3000)))),
        read_noise=rng.uniform(2.0, 8.0),
        white_balance=(1 + rng.normal(0, 0.05), 1 + rng.normal(0, 0.06)),
        gamma=rng.uniform(2.0, 2.4),
        contrast=rng.uniform(0.0, 0.5),
        sharpen=rng.uniform(0.0, 0.6),
        denoise=rng.uniform(0.2, 0.5),
        demosaic=int(rng.integers(len(DEMOSAIC))),
    )


def _expose(rng: np.random.Generator, light: Field, camera: Camera) -> Field:
    """The mosaic that the sensor reads, float32 [H, W] in [0, 1], with shot and read noise."""
    raw = np.empty(light.shape[:2], np.float32)
    for row, column, channel in MOSAIC:
        raw[row::2, column::2] = light[row::2, column::2, channel]
    electrons = np.maximum(raw * camera.exposure, 0) * camera.full_well
    # A Gaussian with the variance of the Poisson distribution: close enough for hundreds of electrons, at a
    # tenth of the cost.
    noise = np.sqrt(electrons + camera.read_noise**2)
    electrons += noise * rng.standard_normal(raw.shape, dtype=np.float32)
    return as_field(np.clip(electrons / camera.full_well, 0, 1))


def _develop(linear: Field, camera: Camera) -> Pixels:
    """White balance, denoising, tone curve and sharpening: linear RGB to uint8."""
    red, blue = camera.white_balance
    balanced = np.clip(linear * as_field([red, 1.0, blue]), 0, 1)
    smooth = as_field(cv2.GaussianBlur(balanced, (0, 0), camera.denoise))
    tone = smooth ** (1 / camera.gamma)
    curve = tone + camera.contrast * (tone * tone * (3 - 2 * tone) - tone)
    detail = curve - as_field(cv2.GaussianBlur(curve, (0, 0), 1.2))
    return np.asarray(np.clip((curve + camera.sharpen * detail) * 255 + 0.5, 0, 255), np.uint8)


def photograph(rng: np.random.Generator, scene: Field, camera: Camera, size: int) -> Pixels:
    """Take a picture of a scene.

    Args:
        scene: float32 [N, N, 3], linear-light RGB in [0, 1], N at least `size`.
        size: height and width of the picture, even.

    Returns:
        uint8 [size, size, 3] RGB, after the tone curve.
    """
    blur = camera.blur * scene.shape[0] / size
    sharp = cv2.resize(cv2.GaussianBlur(scene, (0, 0), blur), (size, size), interpolation=cv2.INTER_AREA)
    raw = _expose(rng, as_field(sharp), camera)
    mosaic = np.asarray(raw * 65535, np.uint16)
    colour = as_field(cv2.demosaicing(mosaic, DEMOSAIC[camera.demosaic])) / 65535.0
    return _develop(colour, camera)
