"""Names for processes, by which a later process knows whether they are dead."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def this_process() -> str:
    """Names this process until the machine starts again: boot, number, start time; empty if unknown."""
    return _named(os.getpid())


def is_dead(process: str) -> bool:
    """Whether a name from `this_process` is of this machine, and its process has ended.

    False where this machine can't know: another machine, an earlier boot, no name.
    """
    boot, parts = _boot(), process.split(":")
    ours = len(parts) == 3 and bool(boot) and parts[0] == boot and parts[1].isdigit()
    return ours and _named(int(parts[1])) != process


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
