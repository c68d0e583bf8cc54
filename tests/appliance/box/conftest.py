"""`tidegate run` as an operator starts it: a process of its own in the box's namespace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.netns import Topology, run_inside

MAIN = "from appliance.cli import main; main()"
TIDEGATE = [sys.executable, "-c", MAIN]


def after(python: str) -> list[str]:
    """The program, with some Python executed before: to break what can't be broken from outside."""
    return [sys.executable, "-c", f"{python}\n{MAIN}"]


HEAD = """\
version: 1
interfaces: [{outside: outside, inside: inside, mode: inline}]
metrics: {listen: "127.0.0.1:9478"}
"""
DROP_NINE = "rules:\n  - {id: nine, match: {udp.dport: 9}, action: drop}\n"


class RunningBox:
    """One `tidegate run`. What it says on standard error is read from a file, as a journal would be."""

    def __init__(
        self, net: Topology, config: Path, program: Sequence[str] = TIDEGATE, env: Mapping[str, str] | None = None
    ) -> None:
        self.net, self.config = net, config
        self._log = config.with_suffix(".log")
        with self._log.open("wb") as log:
            argv = [*program, "run", str(config)]
            self.process = net.box.popen(argv, stderr=log, env={**os.environ, **(env or {})})

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str, times: int = 1, seconds: float = 60) -> None:
        """Wait until the box has said something that often, or fail with all it said."""
        end = time.monotonic() + seconds
        while self.log.count(text) < times:
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the box never said {text!r}; it said:\n{self.log}")
            time.sleep(0.02)

    def metrics(self) -> dict[str, float]:
        def fetch() -> str:
            with urllib.request.urlopen("http://127.0.0.1:9478/metrics", timeout=5) as answer:
                return str(answer.read().decode())

        lines = run_inside(self.net.box, fetch).splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def rule(self, id_: str, unit: str = "packets") -> float:
        found = [
            v for k, v in self.metrics().items() if k.startswith(f"tidegate_rule_{unit}_total") and f'"{id_}"' in k
        ]
        assert len(found) == 1, f"{len(found)} series of rule {id_}"
        return found[0]

    def reload(self, text: str, expect: str, times: int = 1) -> None:
        self.config.write_text(HEAD + text)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(expect, times)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(20)


Start = Callable[..., RunningBox]


@pytest.fixture
def net() -> Iterator[Topology]:
    with Topology() as topology:
        yield topology


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The file of a box that drops what goes to port 9."""
    path = tmp_path / "box.yaml"
    path.write_text(HEAD + DROP_NINE)
    return path


@pytest.fixture
def start(net: Topology, tmp_path: Path) -> Iterator[Start]:
    """Start a box with these rules (or a whole document) and wait until it serves."""
    boxes: list[RunningBox] = []

    def begin(rules: str, *, head: str = HEAD, until: str = "metrics on", **options: Any) -> RunningBox:
        config = tmp_path / "box.yaml"
        config.write_text(head + rules)
        boxes.append(RunningBox(net, config, **options))
        if until:
            boxes[-1].wait_for(until)
        return boxes[-1]

    yield begin
    for box in boxes:
        box.end()


def run_to_its_end(net: Topology, config: Path, *prefix: str) -> subprocess.CompletedProcess[str]:
    """`tidegate run` where it is expected to refuse."""
    return net.box.run([*prefix, *TIDEGATE, "run", str(config)], check=False, timeout=30)


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
