"""A stored picture as one RGB array: upright, 8 bits, sRGB.

A picture may have 50 million pixels, so it is converted in strips. Memory holds Pillow's picture (at most 4
bytes a pixel), the result (3 bytes a pixel) and one strip, but no third copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from deepfake.media.colour import Transform, srgb_transform

_STRIP = 2**20  # pixels
UPRIGHT = 1
# EXIF orientation -> a view of the upright array in stored order: writing stored rows to it turns them.
_AS_STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    UPRIGHT: lambda seen: seen,
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.transpose(1, 0, 2),
    6: lambda seen: np.rot90(seen),
    7: lambda seen: seen[::-1, ::-1].transpose(1, 0, 2),
    8: lambda seen: np.rot90(seen, -1),
}


def orientation_of(exif: Image.Exif) -> int:
    """EXIF orientation, 1..8; 1 (upright) if it is missing or not valid."""
    said = exif.get(0x0112, UPRIGHT)
    return said if isinstance(said, int) and said in _AS_STORED else UPRIGHT


def to_rgb(stored: Image.Image | np.ndarray, orientation: int, profile: bytes | None) -> np.ndarray:
    """Turn a picture upright, convert it to 8 bits a sample and to sRGB, and put it on white.

    Args:
        stored: a Pillow picture of any mode, or uint8 [height, width, 3].
        orientation: EXIF orientation, 1..8.
        profile: the file's ICC profile, untrusted.

    Returns:
        uint8 [height, width, 3]; the array `stored` itself if it needs no change.

    Raises:
        Any error that Pillow's decoders raise.
    """
    is_srgb = profile is None or (isinstance(stored, np.ndarray) and srgb_transform(profile, "RGB") is None)
    if isinstance(stored, np.ndarray) and orientation == UPRIGHT and is_srgb:
        return stored
    height, width = stored.shape[:2] if isinstance(stored, np.ndarray) else stored.size[::-1]
    seen = np.empty((width, height, 3) if orientation >= 5 else (height, width, 3), np.uint8)
    target, top = _AS_STORED[orientation](seen), 0
    for strip in _strips(stored, height, width):
        target[top : top + strip.height] = _strip_to_rgb(strip, profile)
        top += strip.height
    return seen


def _strips(stored: Image.Image | np.ndarray, height: int, width: int) -> Iterator[Image.Image]:
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        if isinstance(stored, np.ndarray):
            yield Image.fromarray(stored[top : top + rows])
        else:
            yield stored.crop((0, top, width, min(top + rows, height)))


def _strip_to_rgb(strip: Image.Image, profile: bytes | None) -> Image.Image:
    plain, alpha = _eight_bit(strip)
    transform: Transform | None = None if profile is None else srgb_transform(profile, plain.mode)
    if transform is not None:
        seen = transform.apply(plain)
    else:
        seen = plain if plain.mode == "RGB" else plain.convert("RGB")
    if alpha is None:
        return seen
    ground = Image.new("RGB", seen.size, "white")
    ground.paste(seen, mask=alpha)  # opaque pixels do not change
    return ground


def _eight_bit(strip: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The strip as `RGB`, `L` or `CMYK` (a colour profile is for one of these), and its alpha or None."""
    if strip.mode.startswith("I"):  # 16-bit grey; Pillow's conversion would clip at 255
        samples = np.asarray(strip).clip(0, 65535).astype(np.uint32)
        return Image.fromarray(((samples + 128) // 257).astype(np.uint8)), None
    if strip.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in strip.info:
        colours = strip.convert("RGBA")  # keeps the colours of transparent pixels
        grey = strip.mode in ("1", "L", "LA", "La")
        return colours.convert("L" if grey else "RGB"), colours.getchannel("A")
    if strip.mode == "1":
        return strip.convert("L"), None
    return (strip if strip.mode in ("RGB", "L", "CMYK") else strip.convert("RGB")), None
