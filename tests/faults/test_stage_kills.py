"""Kill -9 at random moments in every stage: the stage, run again, writes the same bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from workplace import STAGES, Workplace, end_group, moments

# 20 kills of a training take longer than the usual limit.
pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]
KILLS = int(os.environ.get("FAULT_KILLS", "20"))  # in each stage


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_ends_in_the_same_bytes(
    workplace: Workplace, stage: str, figure: Callable[..., None]
) -> None:
    begin = time.monotonic()
    workplace.finishes_alike(stage)
    longest, inside = time.monotonic() - begin, 0
    for moment in moments(longest, KILLS, seed=STAGES.index(stage)):
        process = workplace.start(stage)
        time.sleep(moment)
        inside += process.poll() is None
        end_group(process)
        workplace.finishes_alike(stage)
    figure(fault="kill -9", where=stage, times=KILLS, note=f"{inside} before the stage had ended")
