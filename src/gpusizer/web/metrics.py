"""What a server counts, in the form that Prometheus reads; no label holds what somebody asked."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["METRICS_TYPE", "Metrics"]

METRICS_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)


class Metrics:
    """Counters of one application, apart from those of any other in the same process."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)
        self.requests = Counter("gpusizer_requests", "Requests that were answered.", ("route", "method", "status"), registry=own)
        self.seconds = Histogram("gpusizer_answer_seconds", "Time to compute an answer.", ("kind",), buckets=_SECONDS, registry=own)
        self.kept_hits = Counter("gpusizer_kept_hits", "Answers that were kept and given again.", registry=own)
        self.kept_bytes = Gauge("gpusizer_kept_bytes", "Size of the answers that are kept.", registry=own)
        self.workers_busy = Gauge("gpusizer_workers_busy", "Worker processes that compute.", registry=own)
        self.workers_lost = Counter("gpusizer_workers_lost", "Worker processes that ended by themselves or were stopped.", registry=own)
        self.waiting = Gauge("gpusizer_waiting", "Questions that wait for a worker process.", registry=own)

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)
