"""What a service counts, in the text format of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30)


class Figures:
    """The counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "lookalike_requests", "Answered requests", ["route", "method", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "lookalike_request_seconds",
            "From the first byte of a request to the last of its answer",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.images = Counter("lookalike_images", "Images that were embedded", registry=self._registry)
        self.unknown = Counter("lookalike_unknown_images", "Images that were called unknown", registry=self._registry)
        self.changes = Counter(
            "lookalike_gallery_changes", "Changes of the gallery", ["action"], registry=self._registry
        )
        self.kept_images = Gauge(
            "lookalike_unknown_kept_images", "Kept unknown images that are not enrolled", registry=self._registry
        )
        self.kept_bytes = Gauge("lookalike_unknown_kept_bytes", "Bytes of these images", registry=self._registry)
        self.not_kept = Counter(
            "lookalike_unknown_not_kept", "Unknown images that were not kept for want of room", registry=self._registry
        )
        self.waiting = Gauge(
            "lookalike_requests_inside", "Requests that are worked on or wait", registry=self._registry
        )
        self.enrolled = Gauge("lookalike_gallery_images", "Images in the gallery", registry=self._registry)
        self.labels = Gauge("lookalike_gallery_labels", "Labels in the gallery", registry=self._registry)

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)
