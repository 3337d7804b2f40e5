"""What a portrait looks like before it is rendered: one sample of every visible trait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfake.media.fields import Field, as_field

RGB = tuple[float, float, float]

# Linear-light albedos from very light to very dark skin. A portrait's skin is between two neighbours.
SKIN = np.array(
    [[0.80, 0.56, 0.44], [0.68, 0.43, 0.30], [0.55, 0.32, 0.20], [0.40, 0.21, 0.12],
     [0.27, 0.135, 0.075], [0.19, 0.095, 0.06]]
)  # fmt: skip
HAIR = np.array(
    [[0.025, 0.020, 0.018], [0.06, 0.035, 0.02], [0.13, 0.07, 0.035], [0.28, 0.11, 0.04],
     [0.45, 0.31, 0.15], [0.42, 0.40, 0.38]]
)  # fmt: skip
IRIS = np.array([[0.06, 0.03, 0.015], [0.13, 0.075, 0.03], [0.10, 0.15, 0.06], [0.10, 0.19, 0.32]])


@dataclass(frozen=True)
class FacePlace:
    """The place of the face: it links head coordinates (u right, v down) to picture coordinates.

    In head coordinates the face's half width is 1, the eyes are near v = 0 and the chin is near v = 1.27.

    Attributes:
        centre: head origin (x, y) as a share of the picture's side.
        reach: half width of the face as a share of the picture's side.
        roll: in-plane rotation, radians, clockwise.
        yaw: turn of the head, radians, positive to the picture's right.
        pitch: shift of the features down the face, head units.
    """

    centre: tuple[float, float]
    reach: float
    roll: float
    yaw: float
    pitch: float

    def grid(self, side: int) -> tuple[Field, Field]:
        """Head coordinates u and v of every pixel's centre, each float32 [side, side]."""
        axis = (np.arange(side, dtype=np.float32) + 0.5) / side
        x = (axis[None, :] - self.centre[0]) / self.reach
        y = (axis[:, None] - self.centre[1]) / self.reach
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        return as_field(cos * x + sin * y), as_field(cos * y - sin * x)

    def turned(self, u: Field, v: Field) -> tuple[Field, Field]:
        """Coordinates on the turned face. Its features move and get narrower, as on a cylinder."""
        angle = np.arcsin(np.clip(u * 0.92, -0.99, 0.99))
        return as_field(np.sin(angle - self.yaw) / 0.92), as_field(v - self.pitch)

    def matrix(self, side: int) -> Field:
        """The 2 x 3 affine map from head coordinates to pixels of a picture of side `side`."""
        cos, sin = np.cos(self.roll) * self.reach * side, np.sin(self.roll) * self.reach * side
        x, y = self.centre[0] * side - 0.5, self.centre[1] * side - 0.5
        # The features of a turned face move, and the map follows them: eyes of two portraits then match.
        slide = np.sin(self.yaw) / 0.92
        x, y = x + cos * slide - sin * self.pitch, y + sin * slide + cos * self.pitch
        return as_field([[cos, -sin, x], [sin, cos, y]])


@dataclass(frozen=True)
class Traits:
    """One person, one pose and one light. Lengths are in head units, colours are linear RGB."""

    face: FacePlace
    skin: RGB
    hair: RGB
    iris: RGB
    lip: RGB
    cloth: RGB
    backdrop: tuple[RGB, RGB]
    light: tuple[float, float, float]
    light_tint: RGB
    ambient: float
    jaw: float
    chin: float
    eye_gap: float
    eye_size: float
    eye_open: float
    gaze: float
    brow_height: float
    brow_weight: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_weight: float
    smile: float
    hairline: float
    sweep: float
    hair_volume: float
    hair_length: float
    parting: float
    beard: float
    freckles: float
    age: float


def _colour(rng: np.random.Generator, table: np.ndarray, jitter: float) -> RGB:
    """A random colour between two neighbouring rows of `table`; `jitter` is its relative variation."""
    place = rng.uniform(0, len(table) - 1)
    low = min(int(place), len(table) - 2)
    mixed = table[low] + (place - low) * (table[low + 1] - table[low])
    r, g, b = np.clip(mixed * np.exp(rng.normal(0, jitter, 3)), 0.01, 0.9)
    return float(r), float(g), float(b)


def _backdrop(rng: np.random.Generator) -> tuple[RGB, RGB]:
    """The two end colours of the background's gradient: of any hue, rarely vivid."""
    grey, hue = rng.uniform(0.05, 0.6), rng.normal(0, 0.25, (2, 3))
    first, second = np.clip(grey * np.exp(hue) * rng.uniform(0.6, 1.4, (2, 1)), 0.02, 0.9)
    return (
        (float(first[0]), float(first[1]), float(first[2])),
        (float(second[0]), float(second[1]), float(second[2])),
    )


def _face(rng: np.random.Generator) -> FacePlace:
    return FacePlace(
        centre=(0.5 + rng.uniform(-0.05, 0.05), 0.5 + rng.uniform(-0.05, 0.03)),
        reach=rng.uniform(0.25, 0.295),
        roll=float(np.clip(rng.normal(0, 0.10), -0.25, 0.25)),
        yaw=float(np.clip(rng.normal(0, 0.15), -0.35, 0.35)),
        pitch=rng.uniform(-0.05, 0.06),
    )


def sample_traits(rng: np.random.Generator) -> Traits:
    """Sample one person; all traits are independent unless nature ties them."""
    skin = _colour(rng, SKIN, 0.06)
    redness = rng.uniform(0.5, 0.85)
    side, height = rng.uniform(-0.8, 0.8), rng.uniform(0.15, 0.75)
    light = np.array([side, -height, rng.uniform(0.7, 1.1)])
    light /= np.linalg.norm(light)
    warm = rng.normal(0, 0.07)
    masculine = rng.uniform() < 0.5
    r, g, b = rng.uniform(0.03, 0.6, 3)
    return Traits(
        face=_face(rng), skin=skin,
        hair=_colour(rng, HAIR[: 2 if skin[0] < 0.3 else len(HAIR)], 0.1),
        iris=_colour(rng, IRIS[: 2 if skin[0] < 0.45 else 4], 0.1),
        lip=(skin[0] * 0.85, skin[1] * redness * 0.75, skin[2] * redness * 0.9),
        cloth=(float(r), float(g), float(b)), backdrop=_backdrop(rng),
        light=(float(light[0]), float(light[1]), float(light[2])),
        light_tint=(1.0 + warm, 1.0, 1.0 - warm), ambient=rng.uniform(0.3, 0.6),
        jaw=rng.uniform(0.0, 0.13) + 0.06 * masculine, chin=rng.uniform(1.24, 1.38),
        eye_gap=rng.uniform(0.37, 0.43), eye_size=rng.uniform(0.175, 0.21),
        eye_open=rng.uniform(0.75, 1.15), gaze=rng.uniform(-0.2, 0.2),
        brow_height=rng.uniform(0.24, 0.31), brow_weight=rng.uniform(0.6, 1.0),
        brow_arch=rng.uniform(0.02, 0.1), nose_width=rng.uniform(0.13, 0.2),
        nose_length=rng.uniform(0.42, 0.52), mouth_width=rng.uniform(0.3, 0.42),
        lip_weight=rng.uniform(0.7, 1.3), smile=rng.uniform(0.0, 0.13),
        hairline=rng.uniform(-1.1, -0.65), sweep=rng.uniform(0.05, 0.45),
        hair_volume=rng.uniform(0.03, 0.22),
        hair_length=0.0 if masculine else rng.uniform(0.3, 1.0),
        parting=rng.uniform(-0.5, 0.5),
        beard=max(0.0, rng.uniform(-0.8, 0.75)) if masculine else 0.0,
        freckles=max(0.0, rng.uniform(-1.0, 1.0)), age=rng.uniform(0.0, 1.0),
    )  # fmt: skip
