"""Four generators of fakes. Each leaves typical traces of real generators in a real picture.

A generator takes a finished picture and a donor. It returns the altered picture and the mask of the altered
part. It replaces lost fine detail by noise of the same power and random phase. Fakes then look as sharp as
photographs, and a mean spectrum alone does not separate the two.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from deepfake.degrade.resynthesis import Fake, blend, regrained, upsampled_from_half
from deepfake.demo.blending import Shot, face_mask, region_mask
from deepfake.media.fields import Field, Pixels, as_field

Generator = Callable[[np.random.Generator, Shot, Shot], Fake]


def swap(rng: np.random.Generator, shot: Shot, donor: Shot) -> Fake:
    """Self-blended image (Shiohara and Yamasaki 2022): the face is blended with a changed copy of itself.

    The copy is recoloured, resampled and warped, then blended through a soft mask. `donor` is not used.
    """
    side = shot.pixels.shape[0]
    source = as_field(shot.pixels)
    gain, shift = rng.uniform(0.94, 1.06, 3), rng.uniform(-6, 6, 3)
    source = as_field(source * gain + shift)
    small = int(side * rng.uniform(0.5, 0.75))
    reduced = cv2.resize(source, (small, small), interpolation=cv2.INTER_AREA)
    soft = as_field(cv2.resize(reduced, (side, side), interpolation=cv2.INTER_CUBIC))
    source = regrained(rng, source, soft)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-3, 3), rng.uniform(0.97, 1.03))
    turn[:, 2] += rng.uniform(-0.012, 0.012, 2) * side
    row, column = np.mgrid[0:side, 0:side].astype(np.float32)
    sway = as_field(cv2.resize(rng.normal(0, 1.0, (5, 5, 2)), (side, side)))
    where_x = turn[0, 0] * column + turn[0, 1] * row + turn[0, 2] + sway[..., 0]
    where_y = turn[1, 0] * column + turn[1, 1] * row + turn[1, 2] + sway[..., 1]
    place = as_field(where_x), as_field(where_y)
    warped = cv2.remap(source, *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    mask = face_mask(rng, shot.face, side) * rng.choice([0.75, 1.0, 1.0])
    return blend(shot.pixels, as_field(warped), as_field(mask))


def gan_upsample(rng: np.random.Generator, shot: Shot, donor: Shot) -> Fake:
    """Up-sampling by a transposed convolution. Its uneven overlap leaves a weak periodic pattern.

    This is the checkerboard of Odena et al. 2016 ("Deconvolution and checkerboard artifacts"). There is one
    4 x 4 kernel per channel, of stride 2 and nearly bilinear. `donor` is not used.
    """
    side = shot.pixels.shape[0]
    picture = as_field(shot.pixels)
    out = regrained(rng, picture, upsampled_from_half(rng, picture))
    whole = rng.uniform() < 0.25
    mask = np.ones((side, side), np.float32) if whole else face_mask(rng, shot.face, side)
    return blend(shot.pixels, out, as_field(mask))


def diffusion(rng: np.random.Generator, shot: Shot, donor: Shot) -> Fake:
    """The 8 x 8 grid of latent diffusion (Rombach et al. 2022): blocks lose fine detail and get new detail.

    Each 8 x 8 block keeps only its lowest DCT coefficients, as a cell of an autoencoder keeps only a few
    numbers. Noise replaces the lost power, without the correlations of a sensor. `donor` is not used.
    """
    side = shot.pixels.shape[0]
    picture = as_field(shot.pixels)
    basis = as_field(cv2.dct(np.eye(8, dtype=np.float32), flags=cv2.DCT_ROWS)).T
    order = np.add.outer(np.arange(8), np.arange(8))
    keep = as_field(np.clip((rng.uniform(3.0, 5.0) - order) / 2 + 0.5, 0, 1))
    cells = side // 8
    blocks = picture[: cells * 8, : cells * 8].reshape(cells, 8, cells, 8, 3)
    codes = np.einsum("ka,iajbc,lb->ikjlc", basis, blocks, basis, optimize=True)
    codes *= keep[None, :, None, :, None]
    out = picture.copy()
    out[: cells * 8, : cells * 8] = np.einsum(
        "ka,ikjlc,lb->iajbc", basis, codes, basis, optimize=True
    ).reshape(cells * 8, cells * 8, 3)
    out = regrained(rng, picture, out)
    whole = rng.uniform() < 0.25
    mask = np.ones((side, side), np.float32) if whole else face_mask(rng, shot.face, side)
    return blend(shot.pixels, out, as_field(mask))


def _recompressed(rng: np.random.Generator, pixels: Pixels) -> Field:
    """The picture after a JPEG of medium quality, as from the web: float32 [S, S, 3], 0..255."""
    quality = int(rng.integers(30, 56))
    code = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return as_field(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1]


def edit(rng: np.random.Generator, shot: Shot, donor: Shot) -> Fake:
    """Blend in parts of another portrait, aligned by the head and matched in colour.

    The donor is compressed as on the web, and noise replaces its lost grain. Colours get the mean and the
    spread of the region in `shot` (Reinhard et al. 2001).
    """
    side = shot.pixels.shape[0]
    mask = region_mask(rng, shot.face, side)
    to_shot = np.vstack([shot.face.matrix(side), [0, 0, 1]])
    to_donor = np.vstack([donor.face.matrix(side), [0, 0, 1]])
    move = as_field((to_shot @ np.linalg.inv(to_donor))[:2])
    source = regrained(rng, as_field(donor.pixels), _recompressed(rng, donor.pixels))
    moved = as_field(
        cv2.warpAffine(source, move, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    )
    inside = mask > 0.05
    theirs, ours = moved[inside], as_field(shot.pixels)[inside]
    scale = np.clip(ours.std(axis=0) / (theirs.std(axis=0) + 1e-3), 0.6, 1.6)
    matched = (moved - theirs.mean(axis=0)) * scale + ours.mean(axis=0)
    return blend(shot.pixels, as_field(matched), mask)


GENERATORS: dict[str, Generator] = {
    "swap": swap,
    "gan-upsample": gan_upsample,
    "diffusion": diffusion,
    "edit": edit,
}
