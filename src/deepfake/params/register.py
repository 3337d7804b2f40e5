"""Parameters of the stage register: the model's name and its gates."""

from __future__ import annotations

from deepfake.base.parameters import Fraction, Section


class Register(Section):
    name: str
    min_test_auc: Fraction
