"""The face: relief, occlusion and paint, in head coordinates (see `traits.FacePlace`)."""

from __future__ import annotations

import numpy as np

from deepfake.demo.brushes import bump, clouds, edge, over, pair, strands
from deepfake.demo.traits import Traits
from deepfake.media.fields import Field, as_field


def relief(u: Field, v: Field, fu: Field, fv: Field, who: Traits) -> Field:
    """Height of the face towards the viewer, float32 [H, W], in head units.

    The skull depends on the head's coordinates (u, v), the features on those of the turned face (fu, fv).
    """
    skull = 0.95 * np.sqrt(np.maximum(1.15 - 0.95 * u * u - 0.42 * v * v, 0.02))
    eye, tip, wide = who.eye_gap, who.nose_length, who.nose_width
    bridge = np.exp(-((fu / (0.085 + 0.06 * np.clip(fv, 0, 0.5))) ** 2) / 2)
    bridge *= edge(as_field(fv - tip), 0.22) * np.clip((fv + 0.25) / 0.6, 0.0, 1.0)
    mouth = tip + 0.36
    return as_field(
        skull
        + 0.06 * pair(fu, fv, (eye, -who.brow_height), (0.26, 0.09))
        - 0.12 * pair(fu, fv, (eye - 0.04, -0.02), (0.17, 0.12))
        + 0.055 * pair(fu, fv, (eye, 0.02), (0.12, 0.08))
        + 0.17 * bridge
        + 0.15 * bump(fu, fv, (0, tip - 0.02), (0.5 * wide, 0.085))
        + 0.09 * pair(fu, fv, (wide * 0.85, tip + 0.03), (0.055, 0.055))
        + 0.07 * pair(fu, fv, (0.55, 0.36), (0.22, 0.2))
        + 0.06 * bump(fu, fv, (0, mouth), (0.3, 0.16))
        + 0.04 * bump(fu, fv, (0, mouth + 0.085), (0.17, 0.05))
        - 0.05 * bump(fu, fv, (0, mouth + 0.19), (0.2, 0.05))
        + 0.09 * bump(fu, fv, (0, who.chin - 0.14), (0.22, 0.11))
    )


def occlusion(fu: Field, fv: Field, who: Traits) -> Field:
    """Share of the light that reaches each point, float32 [H, W] in (0, 1]."""
    eye, tip, wide = who.eye_gap, who.nose_length, who.nose_width
    mouth = tip + 0.36
    folds = np.abs(np.abs(fu) - (wide + 0.1 + 0.45 * (fv - tip)))
    fold = np.exp(-((folds / 0.03) ** 2)) * bump(fu, fv, (0, tip + 0.2), (9.0, 0.13))
    dark = (
        0.30 * pair(fu, fv, (eye - 0.03, -0.06), (0.19, 0.09))
        + 0.22 * pair(fu, fv, (0.17, -0.02), (0.06, 0.12))
        + 0.30 * bump(fu, fv, (0, tip + 0.085), (wide * 0.9, 0.035))
        + 0.62 * pair(fu, fv, (wide * 0.5, tip + 0.055), (0.042, 0.024))
        + 0.22 * pair(fu, fv, (wide + 0.07, tip + 0.03), (0.03, 0.06))
        + (0.08 + 0.16 * who.age) * fold
        + 0.20 * bump(fu, fv, (0, mouth + 0.185), (0.16, 0.03))
        + (0.05 + 0.12 * who.age) * pair(fu, fv, (eye - 0.02, 0.17), (0.12, 0.03))
    )
    return as_field(np.clip(1 - dark, 0.12, 1))


def _skin(rng: np.random.Generator, fu: Field, fv: Field, who: Traits) -> Field:
    """Skin with blush, blotches, pores and, on some faces, freckles."""
    height, width = fu.shape
    side = max(height, width)

    def skin_noise(coarsest: int, persistence: float) -> Field:
        return clouds(rng, side, coarsest, persistence)[:height, :width]

    pores = 0.035 * (1 + 0.6 * who.age) * skin_noise(24, 0.95)
    blotch = 0.03 * skin_noise(5, 0.5)
    paint = as_field(who.skin) * (1 + pores + blotch)[..., None]
    cheeks = pair(fu, fv, (0.55, 0.35), (0.2, 0.17))
    cheeks += bump(fu, fv, (0, who.nose_length), (0.12, 0.1))
    paint = paint * (1 - 0.16 * cheeks[..., None] * as_field([-0.35, 1.0, 0.9]))
    spots = np.clip(skin_noise(32, 0.7) - 1.1, 0, 1) * who.freckles
    spots *= pair(fu, fv, (0.3, 0.25), (0.4, 0.25))
    return as_field(paint * (1 - 0.5 * spots[..., None] * as_field([0.6, 0.9, 1.0])))


def _lips(paint: Field, rng: np.random.Generator, fu: Field, fv: Field, who: Traits) -> Field:
    """Two lips with a cupid's bow, a dark line between them and fine creases."""
    mouth, half = who.nose_length + 0.36, who.mouth_width
    s = np.clip(fu / half, -1.2, 1.2)
    line = mouth - who.smile * s * s + 0.012 * np.cos(6 * s)
    round_off = np.sqrt(np.maximum(1 - s * s, 0))
    top = line - 0.095 * who.lip_weight * round_off * (1 - 0.25 * np.exp(-((s / 0.14) ** 2)))
    bottom = line + 0.125 * who.lip_weight * round_off
    inside = edge(as_field(np.maximum(top - fv, fv - bottom)), 0.035) * (np.abs(s) < 1)
    crease = 0.08 * strands(rng, as_field(fu * 60 + 512), as_field(fv * 5 + 64))
    tone = np.where(fv < line, 0.78, 1.0) + crease
    paint = over(paint, as_field(who.lip) * as_field(tone)[..., None], as_field(0.85 * inside))
    parting = np.exp(-(((fv - line) / 0.016) ** 2)) * edge(as_field(np.abs(s) - 1.02), 0.1)
    corners = pair(fu, fv, (half, mouth - who.smile), (0.035, 0.03))
    return as_field(paint * (1 - 0.72 * parting - 0.35 * corners)[..., None])


def _brows(paint: Field, rng: np.random.Generator, fu: Field, fv: Field, who: Traits) -> Field:
    """Eyebrows of single hairs, thinner towards the temples."""
    s = (np.abs(fu) - who.eye_gap) / 0.23
    line = -who.brow_height - who.brow_arch * (1 - (s - 0.3) ** 2) + 0.03
    thick = 0.052 * (1.0 - 0.45 * np.clip(s, -0.2, 1.0))
    hairs = strands(rng, as_field((fu + 0.6 * np.sign(fu) * fv) * 60 + 512), as_field(fv * 6 + 64))
    mask = np.exp(-(((fv - line) / thick) ** 2)) * edge(as_field(np.abs(s) - 1.0), 0.35)
    mask = np.clip(mask * who.brow_weight * (0.95 + 0.25 * hairs), 0, 1)
    return over(paint, as_field(who.hair) * 0.55, as_field(mask))


def _beard(paint: Field, rng: np.random.Generator, fu: Field, fv: Field, who: Traits) -> Field:
    """A beard on jaw and upper lip, from stubble to full."""
    mouth = who.nose_length + 0.36
    upper = mouth - 0.12 - 0.42 * np.abs(fu) ** 1.5
    area = edge(as_field(upper - fv), 0.22)
    area *= 1 - bump(fu, fv, (0, mouth + 0.01), (who.mouth_width * 0.8, 0.1))
    hairs = strands(rng, as_field((fu + 0.25 * fu * fv) * 55 + 512), as_field(fv * 9 + 64))
    mask = np.clip(area * (who.beard * (0.85 + 0.22 * hairs)), 0, 0.95)
    return over(paint, as_field(who.hair) * (0.85 + 0.25 * hairs)[..., None], as_field(mask))


def albedo(rng: np.random.Generator, fu: Field, fv: Field, who: Traits) -> Field:
    """Colours of the face without light: float32 [H, W, 3], linear RGB."""
    paint = _skin(rng, fu, fv, who)
    if who.beard > 0:
        paint = _beard(paint, rng, fu, fv, who)
    return _brows(_lips(paint, rng, fu, fv, who), rng, fu, fv, who)


def eyes(face: Field, fu: Field, fv: Field, diffuse: Field, who: Traits) -> Field:
    """Paint eyes, lids and lashes on the lit face [H, W, 3]; `diffuse` is the light [H, W]."""
    level = 0.35 + 0.6 * np.clip(diffuse, 0, 1.2)
    e = (np.abs(fu) - who.eye_gap) / who.eye_size
    f = (fv - 0.02 - 0.03 * e * who.eye_size) / who.eye_size
    arch = np.maximum(1 - e * e, 0)
    top, bottom = -0.52 * who.eye_open * arch**0.8, 0.34 * who.eye_open * arch
    ball = edge(as_field(np.maximum(top - f, f - bottom)), 0.14) * (np.abs(e) < 1)
    shade = level * (0.95 - 0.45 * np.exp(-(((f - top) / 0.22) ** 2)) - 0.25 * e * e)
    face = over(face, as_field([0.62, 0.58, 0.55]) * as_field(shade)[..., None], as_field(ball))
    look = e - who.gaze * np.sign(fu)
    ring = np.hypot(look, f + 0.06)
    rays = 1 + 0.25 * np.sin(np.arctan2(f + 0.06, look) * 17)
    disc = as_field(who.iris) * (level * rays * (1 - 0.5 * (ring > 0.36)))[..., None]
    face = over(face, disc, as_field(edge(as_field(ring - 0.43), 0.1) * ball))
    face = over(face, (0.006, 0.006, 0.006), as_field(edge(as_field(ring - 0.19), 0.1) * ball))
    spot = np.hypot(look * np.sign(fu) - 0.16 * (1.0 if who.light[0] > 0 else -1.0), f + 0.2)
    face = over(face, (0.9, 0.9, 0.9), as_field(edge(as_field(spot - 0.09), 0.1) * ball))
    near = edge(as_field(np.abs(e) - 1.0), 0.3)
    lash = np.exp(-(((f - top) / 0.10) ** 2)) * near * 0.85
    crease = np.exp(-(((f - top + 0.28) / 0.08) ** 2)) * near * 0.35
    lower = np.exp(-(((f - bottom) / 0.08) ** 2)) * near * 0.3
    return as_field(face * (1 - np.clip(lash + crease + lower, 0, 0.92))[..., None])
