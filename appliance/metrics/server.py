"""The HTTP server that Prometheus scrapes: prometheus_client's, on one address, with one registry.

Beside the box's own families it tells the process's processor time, memory and start, as `tidegate_process_…`.
"""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.registry import Collector

from appliance.closeable import Closeable
from appliance.errors import CannotRun


class MetricsServer(Closeable):
    """Serves `/metrics` from a thread of its own. A context manager; closing twice is harmless."""

    def __init__(self, address: str, port: int, collector: Collector) -> None:
        """Raises CannotRun if the address can't be listened on."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)
        ProcessCollector(namespace="tidegate", registry=registry)
        try:
            self._server, self._thread = start_http_server(port, addr=address, registry=registry)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CannotRun(
                f"metrics can't be served on {address}:{port}: {reason}",
                hint="stop what listens there, or choose another address in `metrics.listen`",
            ) from error
        self._closed = threading.Event()

    @property
    def port(self) -> int:
        """The port in use: the one asked for, or the kernel's choice if that was 0."""
        return int(self._server.server_port)

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
