"""Colour profiles: how stored colours become sRGB, the one space that every network here is trained on."""

from __future__ import annotations

import io
import logging
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_log = logging.getLogger(__name__)
_NEAR = 2  # grey levels: the many profiles that mean sRGB differ by less

Transform = ImageCms.ImageCmsTransform


@lru_cache(maxsize=16)  # cameras and editors share few profiles; of a broken one is warned once
def srgb_transform(profile: bytes, mode: str) -> Transform | None:
    """The way from a profile's colours to sRGB.

    A profile is only advice: one that is broken, or of another kind of picture, costs its own effect and a
    line in the log, never the picture.

    Args:
        profile: an ICC profile's bytes, untrusted.
        mode: of the pixels: `RGB`, `L` or `CMYK`.

    Returns:
        What `apply` of it turns pictures of `mode` into RGB pictures; None where the colours are sRGB
        already, or the profile can't be used.
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
    """Colours from all over a mode's space, 17 steps a channel of RGB."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(17, -1, 3)
    return Image.fromarray(colours).convert(mode)
