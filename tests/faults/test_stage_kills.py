"""Kill -9 at random moments in every stage: the stage, run again, writes the same bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from workplace import STAGES, Workplace, moments

# 20 kills of a training take longer than the usual limit.
pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]
KILLS = int(os.environ.get("FAULT_KILLS", "20"))  # in each stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_ends_in_the_same_bytes(
    workplace: Workplace, stage: str, figure: Callable[..., None]
) -> None:
    workplace.finishes_alike(stage)  # the first one waits for the server's imports too
    begin = time.monotonic()
    workplace.finishes_alike(stage)
    longest, inside = time.monotonic() - begin, 0
    for moment in moments(longest, KILLS, seed=STAGES.index(stage)):
        running = workplace.fork(stage)
        time.sleep(moment)
        inside += running.lives()
        running.kill()
        workplace.finishes_alike(stage)
    figure(fault="kill -9", where=stage, times=KILLS, note=f"{inside} before the stage had ended")
