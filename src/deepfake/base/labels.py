"""The two labels a picture can have, as ints, and the four verdicts on a face, as words."""

from __future__ import annotations

from enum import StrEnum

REAL, FAKE = 0, 1
LABEL_NAMES = {REAL: "real", FAKE: "fake"}


class Verdict(StrEnum):
    """What the detector says of a face; the stored words are the values."""

    REAL = "real"
    UNCERTAIN = "uncertain"
    FAKE = "fake"
    NOT_APPLICABLE = "not_applicable"  # no face to judge; the result holds the reason
