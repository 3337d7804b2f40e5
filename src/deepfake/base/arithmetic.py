"""Starts a stage with libraries that compute alike on all processors, or as fast as this one can.

`python -m deepfake.base.arithmetic portable SCRIPT ...` sets environment variables and becomes the script.
Libraries read the variables when they are imported, so this module imports none.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

KINDS = ("portable", "fast")
VARIABLE = "DEEPFAKE_ARITHMETIC"  # tells the stage which kind it has

_BOTH = {
    # Only on newer processors does TensorFlow use oneDNN by default. Others train at a third of the speed.
    "TF_ENABLE_ONEDNN_OPTS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    # By default each core gets a thread, and another number of threads adds in another order.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
# AVX2 with FMA, which processors have since 2013 (Intel) and 2017 (AMD). Eigen's part of TensorFlow has no
# choice: it was made for one set of instructions.
_PORTABLE = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENCV_IPP": "avx2",
    "ARROW_USER_SIMD_LEVEL": "AVX2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
}
_PR_SET_PDEATHSIG = 1  # linux/prctl.h; survives becoming another program
_NEEDED = {"avx2", "fma"}


def environment(kind: str, flags: set[str]) -> dict[str, str]:
    """The variables of one kind of arithmetic.

    Args:
        kind: one of `KINDS`.
        flags: what the processor has, in the words of /proc/cpuinfo.
    """
    if kind == "fast":
        return {**_BOTH, VARIABLE: kind}
    # OpenCV complains where it must switch off what the processor does not have.
    wide = {"OPENCV_CPU_DISABLE": "AVX512-SKX"} if "avx512bw" in flags else {}
    return {**_BOTH, **_PORTABLE, **wide, VARIABLE: kind}


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> set[str]:
    """Instruction sets of this processor; empty where the system does not tell."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())


def main(arguments: list[str], variables: Mapping[str, str]) -> None:
    """Become the script that `arguments` name: kind, script, its own arguments."""
    if len(arguments) < 2 or arguments[0] not in KINDS:
        given = arguments[0] if arguments else "nothing"
        sys.exit(f"error: base.arithmetic must be one of {', '.join(KINDS)}, got {given}")
    kind, *script = arguments
    flags = processor_flags()
    if kind == "portable" and not flags >= _NEEDED:
        print(
            "note: this processor has no AVX2 and FMA, so the last digits differ from those of other "
            "machines; all else works",
            file=sys.stderr,
        )
    _end_with_parent()
    os.execve(sys.executable, [sys.executable, *script], {**variables, **environment(kind, flags)})


def _end_with_parent() -> None:
    """Have the stage interrupted, as by Ctrl-C, when its `dvc repro` dies.

    DVC then holds no lock any more, and a second one would run beside the stage. Only Linux can do this.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
