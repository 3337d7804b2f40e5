"""What Prometheus reads: counts and times, and nothing of what was sent."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from deepfake.bundle.predictor import FaceVerdict
from deepfake.rest.pool import JudgingPool
from deepfake.rest.production import Production

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
__all__ = ["CONTENT_TYPE_LATEST", "ServiceMetrics"]


class ServiceMetrics:
    """The service's own registry of metrics: two services in one process don't mix."""

    def __init__(self, pool: JudgingPool, production: Production) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "deepfake_requests",
            "Requests by route and status.",
            ["route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "deepfake_request_seconds", "From first byte to answer.", ["route"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._faces = Counter(
            "deepfake_verdicts", "Verdicts on faces.", ["verdict"], registry=self._registry
        )
        self._refused = Counter(
            "deepfake_refused", "Requests and pictures refused, by code.", ["code"], registry=self._registry
        )
        self._gauge("deepfake_pictures_in_work", "Places that are taken.").set_function(lambda: pool.taken)
        self._gauge("deepfake_places", "Pictures that may be in work or wait.").set(pool.places)
        swaps = self._gauge("deepfake_model_swaps", "Times that another version took over.")
        swaps.set_function(lambda: production.swaps)
        failures = self._gauge("deepfake_model_failures", "Times that no other version could be loaded.")
        failures.set_function(lambda: production.failures)
        version = Gauge("deepfake_model_version", "1 for the version that judges.", ["version"],
                        registry=self._registry)  # fmt: skip
        self._version, self._production = version, production

    def _gauge(self, name: str, words: str) -> Gauge:
        return Gauge(name, words, registry=self._registry)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the template of a known path, never what was sent."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def verdicts(self, faces: list[FaceVerdict]) -> None:
        """Count the verdicts on a picture."""
        for face in faces:
            self._faces.labels(str(face.verdict)).inc()

    def refused(self, code: str) -> None:
        """Count a request or a picture that is refused."""
        self._refused.labels(code).inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text form."""
        self._version.clear()
        if self._production.now is not None:
            self._version.labels(self._production.now.version).set(1)
        return generate_latest(self._registry)
