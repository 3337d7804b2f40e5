"""Parameters of the stage register: the model's name and the gates in front of production."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deepfake.base.parameters import Fraction, Positive, Section

Ratio = Annotated[float, Field(gt=0.0)]


class Gates(Section):
    """Limits that a version must keep.

    A floor holds for the lower end of a 95 % interval, a ceiling for the upper end.

    Attributes:
        min_auc: of AUC on test.
        min_caught: of the share of test fakes that the shipped threshold catches.
        min_generator_auc: of AUC on the generator that is recognised worst.
        max_source_alarms: of the share of reals called fake, in the source of reals that has most.
        max_calibration_error: of the expected calibration error on test.
        min_robustness: of the area under AUC against damage, mean over the families of damage.
        max_auc_loss, max_caught_loss: how much worse than production a version may be.
        max_slowdown: time per picture, as a multiple of production's.
        max_growth: bytes on disk, as a multiple of production's.
        compared_pictures: test pictures, at most, that production judges for the comparison.
    """

    min_auc: Fraction
    min_caught: Fraction
    min_generator_auc: Fraction
    max_source_alarms: Fraction
    max_calibration_error: Fraction
    min_robustness: Fraction
    max_auc_loss: Fraction
    max_caught_loss: Fraction
    max_slowdown: Ratio
    max_growth: Ratio
    compared_pictures: Positive


class Register(Section):
    name: str
    gates: Gates
