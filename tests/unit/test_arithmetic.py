"""A stage starts with the variables of its arithmetic, and libraries obey them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import heeds_ctrl_c, tiny_params

from deepfake.base.arithmetic import KINDS, VARIABLE, environment, processor_flags
from deepfake.base.parameters import parse_params
from deepfake.base.runtime import exact_batch_norm
from deepfake.export.export import _power_above
from deepfake.params.base import Base
from deepfake.params.whole import Params
from deepfake.train.phases import compile_phase

LAUNCHER = [sys.executable, "-m", "deepfake.base.arithmetic"]


def test_params_and_launcher_know_the_same_kinds() -> None:
    kinds = Base.model_json_schema()["properties"]["arithmetic"]["enum"]
    assert tuple(kinds) == KINDS


def test_the_script_gets_the_variables_its_arguments_and_the_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, numpy\n"
        "from numpy._core._multiarray_umath import __cpu_features__ as has\n"
        f"print(os.environ['{VARIABLE}'], sys.argv[1:], has['AVX512F'] and has['X86_V4'], os.getpid())\n"
    )
    child = subprocess.Popen(
        [*LAUNCHER, "portable", str(script), "a b"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said, complaints = child.communicate()
    assert said == f"portable ['a b'] False {child.pid}\n"
    assert complaints == "" or "no AVX2" in complaints


def test_a_stage_stops_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    """Otherwise a second `dvc repro` runs beside it: the first one's lock ends with it."""
    stage = tmp_path / "stage.py"
    stage.write_text(
        "import os, time\nfrom pathlib import Path\nfrom deepfake.base.stage import run_stage\n"
        "Path('began').write_text(str(os.getppid()))\nrun_stage(lambda: time.sleep(60))\n"
    )
    start = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    parent = subprocess.Popen(
        [sys.executable, "-c", start, *LAUNCHER, "fast", str(stage)],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heeds_ctrl_c,
    )  # fmt: skip
    while not (tmp_path / "began").exists():
        assert parent.poll() is None
        time.sleep(0.02)
    parent.kill()
    assert parent.communicate(timeout=30)[1].startswith("stopped: finished shards and epochs are kept")


@pytest.mark.parametrize("arguments", [[], ["quick", "x.py"], ["portable"]])
def test_an_unknown_kind_is_refused_in_words(arguments: list[str]) -> None:
    done = subprocess.run([*LAUNCHER, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: base.arithmetic must be one of portable, fast, got")


def test_only_portable_caps_and_opencv_is_only_refused_what_it_has() -> None:
    wide, narrow = environment("portable", {"avx2", "avx512bw"}), environment("portable", {"avx2"})
    assert wide["ONEDNN_MAX_CPU_ISA"] == narrow["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert wide["OPENCV_CPU_DISABLE"] == "AVX512-SKX" and "OPENCV_CPU_DISABLE" not in narrow
    fast = environment("fast", {"avx2", "avx512bw"})
    assert "ONEDNN_MAX_CPU_ISA" not in fast
    # Another number of cores must not matter in either kind.
    assert fast["OPENBLAS_NUM_THREADS"] == wide["OPENBLAS_NUM_THREADS"] == "1"


def test_batch_norm_is_rounded_once() -> None:
    """TensorFlow's own float32 result depends on the maker of the processor in the last digit."""
    import tensorflow as tf

    exact_batch_norm()
    variance = np.random.default_rng(0).gamma(1.0, 1.0, 4096).astype(np.float32)
    ones = np.ones((1, 4096), np.float32)
    made = tf.nn.batch_normalization(ones, np.zeros(4096, np.float32), variance, None, None, 1e-3)
    expected = 1.0 / np.sqrt(variance.astype(np.float64) + 1e-3)
    np.testing.assert_array_equal(made[0], expected.astype(np.float32))


def test_the_gradient_of_the_loss_is_rounded_once() -> None:
    import keras
    import tensorflow as tf

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    recipe = parse_params(Params, tiny_params(), origin="test").train
    compile_phase(model, recipe.phase1, recipe, steps=4)
    logits = tf.constant(np.random.default_rng(0).normal(0, 3, (4096, 1)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = model.compute_loss(y=tf.zeros((4096, 1)), y_pred=logits)
    expected = 1.0 / (1.0 + np.exp(-logits.numpy().astype(np.float64))) / 4096
    np.testing.assert_allclose(tape.gradient(loss, logits), expected.astype(np.float32), rtol=6e-8)


def test_the_engines_difference_is_a_power_of_ten() -> None:
    """Two processors round differently, and the file of the stage export must be the same."""
    assert [_power_above(x) for x in (0.0, 2.1e-7, 2.3e-7, 3e-6)] == [1e-7, 1e-6, 1e-6, 1e-5]
    assert _power_above(float("nan")) is None


def test_flags_are_those_of_the_first_processor(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("model\t: x\nflags\t\t: fpu avx2 fma\nflags\t\t: fpu\n")
    assert processor_flags(tmp_path / "cpuinfo") == {"fpu", "avx2", "fma"}
    assert processor_flags(tmp_path / "none") == set()
