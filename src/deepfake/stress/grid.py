"""The robustness grid: families of damage with levels. It is frozen, so that models can be compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

import numpy as np

from deepfake.degrade.chains import CHAINS
from deepfake.degrade.operators import FILTERS, OPERATORS, Operator, resampled
from deepfake.media.fields import Pixels

VERSION = "1"  # raise it with any change below: figures of two versions can't be compared
CLEAN = "clean"


def _by_filter(name: str, pixels: Pixels, scale: float, rng: np.random.Generator) -> Pixels:
    return resampled(pixels, scale, name, name)


_OPERATORS: dict[str, Operator] = {
    **OPERATORS, **CHAINS, **{f"rescale-{name}": partial(_by_filter, name) for name in FILTERS},
}  # fmt: skip


@dataclass(frozen=True)
class Family:
    """One operator and its levels.

    Attributes:
        operator: name of the operator that each level applies.
        knobs: one per level, in the order of the curve, in the operator's unit.
        unit: label of the axis.
        clean_at: place of the undamaged picture among the levels; it is first, except for a knob with two
            sides.
    """

    operator: str
    knobs: tuple[float, ...]
    unit: str
    clean_at: int = 0


_SCALES = (0.75, 0.5, 0.29)
FAMILIES: dict[str, Family] = {
    "jpeg": Family("jpeg", (100, 80, 60, 40, 20, 10), "IJG quality"),
    "double-jpeg": Family("double-jpeg", (90, 70, 50, 30), "IJG quality, twice"),
    "webp": Family("webp", (80, 50, 20), "libwebp quality"),
    "social": Family("social", (1, 2, 3), "services passed"),
    "screenshot": Family("screenshot", (0.9, 0.7, 0.5), "scale on screen"),
    **{f"rescale-{name}": Family(f"rescale-{name}", _SCALES, "scale") for name in FILTERS},
    "blur": Family("blur", (0.5, 1, 2, 3), "sigma in pixels"),
    "noise": Family("noise", (2, 5, 10), "sigma in grey levels"),
    "gamma": Family("gamma", (0.7, 0.85, 1.2, 1.5), "exponent", clean_at=2),
    "zoom": Family("zoom", (0.9, 0.75), "share of the side kept"),
}


@dataclass(frozen=True)
class Condition:
    """One level of a family; `CLEAN_CONDITION` belongs to all families."""

    family: str
    level: str

    @property
    def name(self) -> str:
        return f"{self.family} {self.level}".strip()

    def apply(self, crop: Pixels, image_id: str, seed: int) -> Pixels:
        """Damage a crop. Its name seeds all random choices, so the order of calls does not matter.

        Args:
            crop: uint8 [size, size, 3], RGB.

        Returns:
            uint8 [size, size, 3].
        """
        if self.family == CLEAN:
            return crop
        key = hashlib.sha256(f"{image_id}:{self.name}".encode()).digest()[:8]
        rng = np.random.default_rng([seed, int.from_bytes(key, "big")])
        return _OPERATORS[FAMILIES[self.family].operator](crop, float(self.level), rng)


CLEAN_CONDITION = Condition(CLEAN, "")


def conditions(families: tuple[str, ...]) -> list[Condition]:
    """The clean level, then every level of the named families."""
    return [CLEAN_CONDITION, *(c for family in families for c in curve(family) if c != CLEAN_CONDITION)]


def curve(family: str) -> list[Condition]:
    """A family's levels in order, with the clean one."""
    chosen = FAMILIES[family]
    levels = [Condition(family, f"{knob:g}") for knob in chosen.knobs]
    return [*levels[: chosen.clean_at], CLEAN_CONDITION, *levels[chosen.clean_at :]]
