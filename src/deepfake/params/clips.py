"""Parameters of the stage clips."""

from __future__ import annotations

from deepfake.base.parameters import Positive, Section


class Temporal(Section):
    """The recurrent network that reads the frames of a clip in their order."""

    min_clips: Positive
    frames: Positive
    axes: Positive
    units: Positive
    epochs: Positive


class Clips(Section):
    """What counts as a clip, and the model that must beat the median of its frames."""

    min_frames: Positive
    temporal: Temporal
