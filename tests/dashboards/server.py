"""A real Prometheus for the length of a test: its own data directory, a free port of the loopback interface."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.yaml_files import dump, load

PROMETHEUS = "/usr/bin/prometheus"
CONFIGURATION = Path("dashboards/prometheus.yml")


class Refused(Exception):
    """Prometheus did not take a query."""


class Prometheus:
    """Runs the project's scrape configuration and alert rules, but against `target`, and once a second."""

    def __init__(self, target: str, directory: Path) -> None:
        self.target = target
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        document = load(CONFIGURATION)
        document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        document["rule_files"] = [str(CONFIGURATION.parent.resolve() / name) for name in document["rule_files"]]
        document["scrape_configs"][0]["static_configs"] = [{"targets": [self.target]}]
        configuration = self._directory / "prometheus.yml"
        configuration.write_text(dump(document))
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    PROMETHEUS,
                    f"--config.file={configuration}",
                    f"--storage.tsdb.path={self._directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                env={**os.environ, "GOMAXPROCS": "1"},
                stdout=log,
                stderr=log,
            )
        return self

    def wait_for(self, expr: str, seconds: float = 20) -> list[dict[str, Any]]:
        """Ask until there is an answer that is not empty."""
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if found := self.query(expr):
                    return found
            except (urllib.error.URLError, ConnectionError):
                pass  # it is still starting
            time.sleep(0.1)
        raise AssertionError(f"no answer to {expr}\n{(self._directory / 'log').read_text()}")

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series that an expression has now. Raises Refused if it is no PromQL."""
        found: list[dict[str, Any]] = self.get("query", query=expr)["result"]
        return found

    def get(self, name: str, **parameters: str) -> Any:
        """Ask /api/v1/NAME for its data."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{name}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # not ready yet
                raise ConnectionError(url) from error
            raise Refused(json.load(error)["error"]) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
