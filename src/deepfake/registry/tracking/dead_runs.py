"""Runs whose process is dead: a kill -9 leaves them `RUNNING`, and nobody would ever close them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import mlflow

from deepfake.registry.tracking.store import experiment_id

PROCESS = "process"  # tag: the process that trains, as this machine knows it


def this_process() -> str:
    """Names this process until the machine starts again: boot, number, start time; empty if unknown."""
    return _named(os.getpid())


def close_dead_runs(client: mlflow.MlflowClient) -> None:
    """Mark open runs of dead processes of this machine as `KILLED`. Runs of other machines stay."""
    boot = _boot()
    if not boot:
        return
    where = "attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment_id(client)], where):
        process = run.data.tags.get(PROCESS, "")
        parts = process.split(":")
        if len(parts) == 3 and parts[0] == boot and parts[1].isdigit() and _named(int(parts[1])) != process:
            client.set_terminated(run.info.run_id, "KILLED")


def _named(number: int) -> str:
    boot = _boot()
    with suppress(OSError, IndexError):
        # The name of the program, in brackets, may hold spaces. The start time is field 22.
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return f"{boot}:{number}:{fields[19]}" if boot and fields[0] != "Z" else ""
    return ""


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return ""
