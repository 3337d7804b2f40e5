"""Shared by the fault tests: a registry with a past, people at it, and what must hold afterwards."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections import Counter
from pathlib import Path

from actor import act, said
from registry_helpers import NAME, REGISTER, publication

from deepfake.bundle.move import Move
from deepfake.registry.aliases import PREVIOUS, PRODUCTION, alias_version
from deepfake.registry.journal import history, settle
from deepfake.registry.promotion import promote
from deepfake.registry.publishing import publish
from deepfake.registry.tracking.store import connect, experiment_id

# Each person is forked from a process that has imported everything: an act then takes a second, not ten.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["actor"])
KILLS = 20  # of each act, at moments chosen at random
SEED = 1  # of these moments


class Person:
    """A process that acts on a registry from now on."""

    def __init__(self, folder: Path, what: str, number: int = 1, **environment: str) -> None:
        self.folder, self.begin = folder, time.monotonic()
        self.process = _SERVER.Process(target=act, args=(folder, what, number, environment))
        self.process.start()

    def let_go_on(self, seconds: float) -> None:
        """Return so many seconds after its start."""
        time.sleep(max(0.0, self.begin + seconds - time.monotonic()))

    def kill_after(self, seconds: float) -> None:
        """Kill it so many seconds after its start."""
        self.let_go_on(seconds)
        self.process.kill()
        self.process.join()

    def wait(self) -> tuple[int | None, str]:
        """Exit code, and what it said."""
        self.process.join(timeout=300)
        assert self.process.pid is not None
        file = said(self.process.pid)
        text = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        return self.process.exitcode, text

    def seconds(self) -> float:
        """Seconds that it takes when nothing happens to it."""
        code, said = self.wait()
        assert code == 0, said
        return time.monotonic() - self.begin


def with_past(folder: Path) -> Path:
    """Three versions; the second was promoted after the first."""
    for number in (1, 2, 3):
        publish(publication(folder, f"w{number}", f"b{number}"))
    for number in ("1", "2"):
        promote(REGISTER, number, "the past")
    return folder


def moments(longest: float, count: int = KILLS) -> list[float]:
    """Random moments of an act that took so many seconds, half of them in its last part, which writes.

    On a busy machine the next one may take longer, so these reach beyond its end.
    """
    chance, parts = random.Random(SEED), ((0.0, 1.0), (0.6, 1.5))
    return [chance.uniform(low * longest, high * longest) for low, high in parts for _ in range(count // 2)]


def check_consistent() -> list[Move]:
    """What holds after any accident, once the next command has run; gives the history."""
    settle(NAME)
    moves = history(NAME)
    assert [move.number for move in moves] == list(range(1, len(moves) + 1))
    for before, after in itertools.pairwise(moves):
        assert after.replaced == before.version  # nothing was promoted that the history does not tell
    if moves:
        assert at(PRODUCTION) == moves[-1].version and at(PREVIOUS) == moves[-1].replaced
    client = connect()
    assert "promotion.pending" not in client.get_registered_model(NAME).tags
    versions = client.search_model_versions(f"name = '{NAME}'")
    digests = Counter(version.tags["bundle_sha256"] for version in versions)
    assert set(digests.values()) == {1}, "one version per bundle"
    runs = client.search_runs([experiment_id(client)])
    assert {run.info.status for run in runs} == {"FINISHED"}, "no run is left running"
    weights = {run.data.tags.get("weights_sha256") or run.data.tags["starter_sha256"] for run in runs}
    assert len(runs) == len(weights), "one run per model"
    models = client.search_logged_models([experiment_id(client)])
    assert {model.model_id for model in models} == {v.source.rpartition("/")[2] for v in versions}
    return moves


def at(alias: str) -> str | None:
    version = alias_version(NAME, alias)
    return None if version is None else str(version.version)
