"""The box in the lab: `tidegate run` as a process of its own, and the counts that its metrics tell."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from appliance.lab.config import METRICS
from appliance.lab.errors import LabFailed
from appliance.lab.network import LabNetwork
from appliance.lab.report import BoxCounts, RuleHits
from hooks.process import end_with_parent

SCRAPE_SECONDS = 2.0
STOP_SECONDS = 10.0
MESSAGE_LINES = 20
RUN = (sys.executable, "-c", "from appliance.cli import main; main()", "run")

_SAMPLE = re.compile(r"tidegate_(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class LabBox(Protocol):
    """Whatever stands between the two interfaces of the lab's box: Tidegate, or a bridge for comparison."""

    def running(self, network: LabNetwork) -> AbstractContextManager[None]:
        """Start it in the box's namespace, and end it with the block."""

    def check(self) -> None:
        """Raises LabFailed if it has ended by itself."""

    def counts(self) -> BoxCounts:
        """Its own account, as of now."""


class TidegateBox:
    """`tidegate run` on a document (see `appliance.lab.config`). For one thread."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._latest = BoxCounts()

    @contextmanager
    def running(self, network: LabNetwork) -> Iterator[None]:
        self._namespace = network.box
        with tempfile.TemporaryDirectory(prefix="tidegate-lab-") as folder:
            config, self._messages = Path(folder) / "box.yaml", Path(folder) / "messages"
            config.write_text(json.dumps(self._document, indent=1))  # JSON is YAML
            with self._messages.open("wb") as messages:
                self._process = network.box.popen(
                    [*RUN, str(config)],
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "STATE_DIRECTORY": str(Path(folder) / "state")},  # nothing of the lab is kept
                    stdout=messages,
                    stderr=messages,
                    start_new_session=True,
                    preexec_fn=end_with_parent,
                )
            try:
                yield
            finally:
                self._stop()

    def check(self) -> None:
        if self._process.poll() is not None:
            tail = "\n".join(self._messages.read_text(errors="replace").splitlines()[-MESSAGE_LINES:])
            raise LabFailed(f"the box ended with status {self._process.returncode}; it said:\n{tail}")

    def counts(self) -> BoxCounts:
        """The counts of its metrics; those of last time if it does not answer."""
        try:
            self._latest = read_metrics(self._scrape())
        except (OSError, http.client.HTTPException):
            self.check()
        return self._latest

    def _scrape(self) -> str:
        connection = http.client.HTTPConnection(*METRICS, timeout=SCRAPE_SECONDS)
        try:
            with self._namespace.entered():
                connection.connect()
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def _stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def read_metrics(text: str) -> BoxCounts:
    """What the box counted, from its metrics in Prometheus' text format."""
    verdicts: dict[str, int] = defaultdict(int)
    packets: dict[str, int] = defaultdict(int)
    octets: dict[str, int] = defaultdict(int)
    capture_dropped = 0
    for sample in filter(None, map(_SAMPLE.match, text.splitlines())):
        labels, value = dict(_LABEL.findall(sample["labels"])), int(float(sample["value"]))
        match sample["name"]:
            case "interface_packets_total" if labels["direction"] == "receive":
                verdicts[labels["verdict"]] += value
            case "capture_dropped_packets_total":
                capture_dropped += value
            case "rule_packets_total":
                packets[labels["rule"]] += value
            case "rule_bytes_total":
                octets[labels["rule"]] += value
    dropped = verdicts["drop"] + verdicts["aborted"]
    received = sum(verdicts.values())
    return BoxCounts(
        received=received,
        passed=received - dropped,
        dropped=dropped,
        capture_dropped=capture_dropped,
        rules={rule: RuleHits(packets[rule], octets[rule]) for rule in packets},
    )
