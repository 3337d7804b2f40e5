"""Procedural portraits: the face is a lit relief, and everything else is painted around it.

The statistics of the picture matter as much as its looks. It has smooth shading, hard contours and fine
texture (pores, hairs, weave), so that a manipulation disturbs natural high frequencies.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake.demo import features
from deepfake.demo.brushes import bump, clouds, edge, over, strands
from deepfake.demo.traits import Traits
from deepfake.media.fields import Field, as_field


def _outline(u: Field, v: Field, who: Traits, grow: float = 0.0) -> Field:
    """Approximate signed distance to the head's contour in head units, negative inside."""
    t = np.clip(v / who.chin, 0.0, 1.0)
    width = 1.0 - (0.26 - who.jaw) * t * t
    height = np.where(v < 0, 1.42, who.chin)
    a, b = np.abs(u) / (width * (1 + grow)), np.abs(v) / (height * (1 + grow))
    return as_field((a**2.25 + b**2.25) ** (1 / 2.25) - 1.0)


def _backdrop(rng: np.random.Generator, side: int, who: Traits) -> Field:
    """A blurred room: a gradient, soft patches of light, and a little grain."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
    mix = np.clip(0.5 + 0.35 * ramp + 0.12 * clouds(rng, side, 3, 0.35), 0, 1)[..., None]
    first, second = as_field(who.backdrop[0]), as_field(who.backdrop[1])
    room = first + mix * (second - first)
    x, y = np.meshgrid(axis, axis)
    for _ in range(rng.integers(0, 5)):
        at = (rng.uniform(-1, 1), rng.uniform(-1, 0.6))
        radius = rng.uniform(0.1, 0.35)
        disc = edge(as_field(np.hypot(x - at[0], y - at[1]) - radius), rng.uniform(0.1, 0.4))
        room = room * (1 + disc[..., None] * rng.uniform(-0.35, 0.6))
    grain = clouds(rng, side, 32, 0.8) * rng.uniform(0.01, 0.05)
    return as_field(room * (1 + grain[..., None]))


def _body(rng: np.random.Generator, canvas: Field, u: Field, v: Field, who: Traits) -> Field:
    """Neck and clothed shoulders under the head."""
    light = who.light[0]
    turn = 1 + light * 0.45 * np.clip(u / 0.8, -1, 1)
    neck_width = 0.62 + 0.5 * who.jaw
    neck = edge(as_field(np.abs(u) - neck_width - 0.1 * np.maximum(v - 1.4, 0) ** 2), 0.06)
    neck *= edge(0.5 - v, 0.1)
    shadow = 0.62 - 0.32 * bump(u, v, (0.1 * light, who.chin + 0.02), (0.6, 0.2))
    pores = 1 + 0.035 * clouds(rng, u.shape[0], 32, 0.9)
    canvas = over(canvas, as_field(who.skin) * (turn * shadow * pores)[..., None], neck)
    slope = 1.55 + 0.16 * np.abs(u) ** 1.6 + 0.25 * np.maximum(0.75 - np.abs(u), 0)
    cloth = edge(as_field(slope - v), 0.05)
    kind = rng.integers(0, 3)
    pitch = rng.uniform(25, 45)
    weave = np.sin(u * pitch) * (np.sin(v * pitch) if kind == 0 else 1.0) * (kind < 2)
    folds = 0.16 * clouds(rng, u.shape[0], 4, 0.5) + 0.06 * weave
    fabric = as_field(who.cloth) * (turn * (0.75 + folds))[..., None]
    rim = bump(as_field(slope - v), v, (-0.06, 0.0), (0.03, 50.0)) * (np.abs(u) < 0.8)
    return over(canvas, fabric * (1 - 0.4 * rim[..., None]), cloth)


def _hair_colour(rng: np.random.Generator, u: Field, v: Field, who: Traits) -> Field:
    """Colours of combed hair [H, W, 3]: strands run from the parting, with a band of gloss."""
    du, dv = u - who.parting * 0.6, v + 1.75
    angle, reach = np.arctan2(du, dv), np.hypot(du, dv)
    wave = 0.02 * np.sin(reach * rng.uniform(4, 14) + rng.uniform(0, 6))
    fibre = strands(rng, as_field((angle + wave) * 110 + 512), as_field(reach * 4.0))
    gloss = bump(reach, reach, (rng.uniform(0.5, 0.8), 0), (0.16, 50.0))
    side = 1 + 0.5 * who.light[0] * np.clip(u, -1, 1)
    tone = np.maximum(side * (0.8 + 0.42 * fibre) + gloss * (0.5 + 0.4 * fibre), 0.06)
    sheen = 0.02 * gloss * np.maximum(1 + fibre, 0)
    return as_field(as_field(who.hair) * tone[..., None] + sheen[..., None])


def _hair_masks(rng: np.random.Generator, u: Field, v: Field, who: Traits) -> tuple[Field, Field]:
    """Masks (behind, before): hair that the face covers, and hair that covers the face."""
    ragged = 0.035 * strands(rng, as_field(u * 30 + 512), as_field(v + 32))
    swell = who.hair_volume
    outer = _outline(u, as_field(v + 0.06), who, swell) + 0.5 * ragged
    cap = edge(as_field(outer), 0.05)
    fall = edge(as_field(np.abs(u) - 1.0 - swell - 0.08 * v + ragged), 0.06)
    fall *= edge(as_field(v - 2.2 * who.hair_length + ragged * 3), 0.2) * edge(-v, 0.3)
    behind = as_field(np.maximum(cap, fall if who.hair_length else 0.0))
    temple = 0.35 + 0.3 * who.hair_length
    line = who.hairline + who.sweep * (u - who.parting) ** 2 + 1.5 * np.abs(u) ** 6 * temple
    before = edge(as_field(v - line + ragged * 2.0), 0.09) * cap
    return behind, before


def _ears(canvas: Field, u: Field, v: Field, who: Traits) -> Field:
    """Two ears. If the head turns, it hides a part of one."""
    for sign in (-1.0, 1.0):
        at = sign * (0.98 - 0.25 * max(0.0, sign * who.face.yaw))
        du, dv = (u - at) / 0.15, (v - 0.1 - who.face.pitch) / 0.32
        ring = np.hypot(du, dv)
        rim = 0.8 + 0.25 * bump(ring, ring, (0.75, 0), (0.2, 9))
        tone = (0.75 + 0.4 * sign * who.light[0]) * rim
        paint = as_field(who.skin) * tone[..., None] * as_field([1.05, 0.92, 0.9])
        canvas = over(canvas, paint, edge(as_field(ring - 1), 0.25))
    return canvas


def _light_face(relief: Field, occlusion: Field, step: float, who: Traits) -> tuple[Field, Field]:
    """Diffuse light (wrapped Lambert) and gloss (Blinn's half vector) on the relief, both [H, W]."""
    dx = as_field(cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=step / 8))
    dy = as_field(cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=step / 8))
    norm = 1.0 / np.sqrt(dx * dx + dy * dy + 1.0)
    lx, ly, lz = who.light
    lambert = (lz - lx * dx - ly * dy) * norm
    half = float(np.sqrt(lx * lx + ly * ly + (lz + 1) ** 2))
    shine = np.maximum((lz + 1 - lx * dx - ly * dy) / half * norm, 0) ** 28
    direct = np.maximum((lambert + 0.15) / 1.15, 0)
    diffuse = (who.ambient + (1.25 - who.ambient) * direct) * occlusion
    return as_field(diffuse), as_field(shine * occlusion)


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest block of rows and columns that holds `mask`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _face(rng: np.random.Generator, u: Field, v: Field, outline: Field, step: float, who: Traits) -> Field:
    """The lit face [H, W, 3]; one head unit is `step` pixels."""
    fu, fv = who.face.turned(u, v)
    relief = features.relief(u, v, fu, fv, who)
    diffuse, shine = _light_face(relief, features.occlusion(fu, fv, who), step, who)
    # Light is weak at the contour. The relief ends there, so it can't show this.
    rim = 1 - 0.35 * edge(as_field(-outline - 0.06), 0.14)
    albedo = features.albedo(rng, fu, fv, who) * as_field(who.light_tint)
    lit = as_field(albedo * (diffuse * rim)[..., None] + 0.10 * shine[..., None])
    return features.eyes(lit, fu, fv, diffuse, who)


def render(rng: np.random.Generator, who: Traits, side: int) -> Field:
    """Render one portrait.

    Args:
        rng: decides the details that `who` does not (strands, pores, folds).
        who: the person, the pose and the light.
        side: height and width in pixels.

    Returns:
        float32 [side, side, 3], linear-light RGB in [0, 1].
    """
    u, v = who.face.grid(side)
    behind, before = _hair_masks(rng, u, v, who)
    hair = _hair_colour(rng, u, v, who)
    canvas = over(_backdrop(rng, side, who), hair * 0.6, behind)
    canvas = _ears(_body(rng, canvas, u, v, who), u, v, who)
    outline = _outline(u, v, who)
    window = _window(outline < 0.05)
    face = _face(rng, u[window], v[window], outline[window], who.face.reach * side, who)
    canvas[window] = over(canvas[window], face, edge(outline[window], 0.035))
    shade = 1 - 0.35 * cv2.GaussianBlur(before, (0, 0), side * 0.018)[..., None]
    canvas = over(canvas * shade, hair, before)
    return as_field(np.clip(canvas, 0.0, 1.0))
