"""Colour profiles: stored colours become sRGB, the colour space that all networks here are trained on."""

from __future__ import annotations

import io
import logging
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_log = logging.getLogger(__name__)
_NEAR = 2  # grey levels: the many versions of the sRGB profile differ by no more

Transform = ImageCms.ImageCmsTransform


@lru_cache(maxsize=16)  # cameras and editors share few profiles; a broken one gives one warning
def srgb_transform(profile: bytes, mode: str) -> Transform | None:
    """The transform from a profile's colours to sRGB.

    A profile that is broken, or made for another mode, is ignored with a line in the log. The picture is
    still used.

    Args:
        profile: bytes of an ICC profile, untrusted.
        mode: mode of the pixels: `RGB`, `L` or `CMYK`.

    Returns:
        A transform: its `apply` turns a picture of `mode` into an RGB picture. None if the colours are sRGB
        already or the profile can't be used.
    """
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        sample = _sample(mode)
        moved = np.asarray(transform.apply(sample)).astype(int) - np.asarray(sample.convert("RGB"))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        _log.warning("a colour profile of %d bytes is ignored: %s", len(profile), error)
        return None
    return None if np.abs(moved).max() <= _NEAR else transform


def _sample(mode: str) -> Image.Image:
    """A picture with colours from the whole space of a mode: 17 steps of each RGB channel, converted."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(17, -1, 3)
    return Image.fromarray(colours).convert(mode)
