"""Parameters of the stage explain."""

from __future__ import annotations

from deepfake.base.parameters import Positive, Section


class Explain(Section):
    panels: Positive
    scored: Positive
