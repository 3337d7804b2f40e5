"""Parameters of the stage stress: size of the robustness grid and of the attacks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from deepfake.base.parameters import Positive, Section

# The families of stress/grid.py.
Family = Literal[
    "jpeg",
    "double-jpeg",
    "webp",
    "social",
    "screenshot",
    "rescale-nearest",
    "rescale-bilinear",
    "rescale-bicubic",
    "rescale-lanczos",
    "rescale-area",
    "blur",
    "noise",
    "gamma",
    "zoom",
]
Epsilon = Annotated[float, Field(gt=0.0, le=64.0)]  # grey levels of 0..255


class Attacks(Section):
    """Size and strength of the attacks.

    Attributes:
        max_pictures: pictures of each class, sampled from those that the model judges right; 0: no attacks.
        epsilons: largest change of a channel of a pixel, in grey levels of 0..255.
    """

    max_pictures: Annotated[int, Field(ge=0)]
    epsilons: Annotated[tuple[Epsilon, ...], Field(min_length=1)]


class Stress(Section):
    max_pictures: Positive
    families: Annotated[tuple[Family, ...], Field(min_length=1)]
    adversarial: Attacks
