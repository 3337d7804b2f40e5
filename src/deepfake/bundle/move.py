"""One change of the version in production, as the journal keeps it."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from typing import Literal

Act = Literal["promoted", "rolled back"]
PROMOTED: Act = "promoted"
ROLLED_BACK: Act = "rolled back"


@dataclass(frozen=True)
class Move:
    """One change of the version in production.

    Attributes:
        number: counts from 1.
        version: the version that goes to production.
        replaced: the version before it, the target of the next rollback; None if there was none.
        by, at: who, and when (ISO 8601, UTC).
        gates: summary of the gates.
        forced: whether it was promoted although gates did not pass.
    """

    act: Act
    version: str
    replaced: str | None
    why: str
    gates: str
    forced: bool = False
    number: int = 0
    by: str = ""
    at: str = ""

    def __str__(self) -> str:
        before = f" (before: {self.replaced})" if self.replaced is not None else ""
        forced = ", FORCED" if self.forced else ""
        what = f"{self.act} {self.version}{before}{forced}"
        return f"{self.at}  {what}, by {self.by}: {self.why}. Gates: {self.gates}"


def who() -> str:
    """The name of the person who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name in the password file, as in many containers
        return f"user {os.getuid()}"
