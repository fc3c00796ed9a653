"""What Prometheus is told."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The numbers of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "polyspan_requests_total", "Requests.", ["method", "route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "polyspan_request_seconds", "Time to answer a request.", ["route"], buckets=SECONDS, registry=self._registry
        )
        self.questions = Counter("polyspan_questions_total", "Questions answered.", registry=self._registry)
        self.no_answers = Counter("polyspan_no_answers_total", "Of them, with no answer.", registry=self._registry)
        self.batch = Histogram(
            "polyspan_batch_questions",
            "Questions of a request.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self._registry,
        )
        self.queue = Gauge("polyspan_queue", "Requests that wait or are answered.", registry=self._registry)

    def text(self) -> bytes:
        """All of them in Prometheus' format."""
        return generate_latest(self._registry)
