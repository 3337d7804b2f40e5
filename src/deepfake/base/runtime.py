"""The device: threads, determinism, precision, and how a batch is spread over GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from deepfake.base.errors import TrainingError


class Machine(Protocol):
    """Settings of the machine: the section `base` of params.yaml."""

    @property
    def seed(self) -> int: ...
    @property
    def threads(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...


@dataclass(frozen=True)
class Runtime:
    """What the process runs on.

    Attributes:
        device: `cpu` or `gpu`.
        device_name: name of the processor or card, for the tracker.
        replicas: how many devices share a batch.
        precision: Keras dtype policy of training; inference is always float32.
        strategy: a `tf.distribute.Strategy`.
    """

    device: str
    device_name: str
    replicas: int
    precision: str
    strategy: Any


def configure(base: Machine) -> Runtime:
    """Set up TensorFlow for reproducible work. Call it once, before any tensor is made.

    The same machine type, package lock and thread count then give the same bytes.

    Raises:
        TrainingError: `base.device` asks for a GPU and there is none, or TensorFlow already runs with
            another number of threads.
    """
    import cv2
    import keras
    import tensorflow as tf

    gpus = [] if base.device == "cpu" else tf.config.list_physical_devices("GPU")
    if base.device == "gpu" and not gpus:
        raise TrainingError(
            "base.device is gpu, but TensorFlow finds no GPU: install the [gpu] extra and a driver, "
            "or set base.device to auto"
        )
    if base.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    for gpu in gpus:  # TensorFlow would take all of a GPU's memory at once
        tf.config.experimental.set_memory_growth(gpu, True)
    _pin_threads(base.threads)
    cv2.setNumThreads(1)  # OpenCV runs in the input pipeline's threads; more would compete for cores
    keras.utils.set_random_seed(base.seed)
    tf.config.experimental.enable_op_determinism()
    exact_batch_norm()
    strategy = tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()
    return Runtime(
        device="gpu" if gpus else "cpu",
        device_name=_device_name(gpus),
        replicas=strategy.num_replicas_in_sync,
        precision=_precision(base.precision, gpus),
        strategy=strategy,
    )


def exact_batch_norm() -> None:
    """Let batch norm take 1 / sqrt(variance) in float64, so that all processors get the same digits.

    In float32, TensorFlow starts from the processor's own estimate, and AMD's and Intel's tables differ.
    """
    import tensorflow as tf

    def _exact(
        x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: float, name: Any = None
    ) -> Any:
        inverse = tf.math.rsqrt(tf.cast(variance, tf.float64) + variance_epsilon)
        inverse = tf.cast(inverse, variance.dtype)
        factor = inverse if scale is None else inverse * scale
        shift = -mean * factor if offset is None else offset - mean * factor
        return x * tf.cast(factor, x.dtype) + tf.cast(shift, x.dtype)

    tf.nn.batch_normalization = _exact  # Keras looks it up at each use


def _pin_threads(threads: int) -> None:
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            raise TrainingError(
                f"TensorFlow already runs with another number of threads than {threads}: "
                "call configure() first in the process"
            ) from error


def _precision(wanted: str, gpus: list[Any]) -> str:
    import tensorflow as tf

    if wanted != "auto":
        return wanted
    if not gpus:
        # The result of `auto` must not depend on the CPU. A CPU with bfloat16 in hardware (AMX,
        # AVX512_BF16) trains ResNet50 a third faster in mixed_bfloat16: name it in params.yaml there.
        # Other CPUs emulate bfloat16, which is slower than float32.
        return "float32"
    capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    # Ampere (8.0) brought bfloat16, Volta (7.0) brought tensor cores for float16.
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def _device_name(gpus: list[Any]) -> str:
    import platform

    import tensorflow as tf

    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
    return platform.processor() or platform.machine()
