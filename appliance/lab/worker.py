"""A part of the lab that is a process of its own, and how it speaks with the lab.

    lab                                  worker (python -m appliance.lab.flood '{…settings…}')
     │ starts it in a namespace ───────────> prepares
     │ <──────────────────────── "ready" ──
     │ ── "go" ──────────────────────────> works
     │ <───────────── counts, as JSON, four times a second
     │ closes its standard input ────────> finishes what it has begun
     │ <──────────────────── last counts ── ends

If the lab is killed the worker's standard input closes too, so no worker outlives its lab.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from appliance.lab.errors import LabFailed
from hooks.netns import Namespace

READY, GO = "ready", "go"
REPORT_SECONDS = 0.25
FINISH_SECONDS = 30.0

Counts = dict[str, list[int]]


class Worker:
    """The lab's end: starts `appliance.lab.<module>` in a namespace and keeps its latest counts."""

    def __init__(self, namespace: Namespace, module: str, settings: Mapping[str, Any]) -> None:
        self.name = module
        self.counts: Counts = {}
        argv = [sys.executable, "-m", f"appliance.lab.{module}", json.dumps(settings)]
        self._process: subprocess.Popen[str] = namespace.popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    def wait_ready(self) -> None:
        """Wait until it has prepared itself. Raises LabFailed."""
        if self._stdout.readline().strip() != READY:
            raise LabFailed(f"the lab's {self.name} did not start", hint="its message stands above")

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin
        self._process.stdin.write(f"{GO}\n")
        self._process.stdin.flush()
        self._reader.start()

    def check(self) -> None:
        """Raises LabFailed if it has ended by itself."""
        if self._process.poll() is not None:
            raise LabFailed(f"the lab's {self.name} ended early", hint="its message stands above")

    def finish(self) -> Counts:
        """Let it finish what it has begun, wait for that, and return its last counts. Raises LabFailed."""
        self._close_input()
        try:
            status = self._process.wait(FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            raise LabFailed(f"the lab's {self.name} does not end") from None
        self._reader.join()
        if status != 0:
            raise LabFailed(f"the lab's {self.name} failed", hint="its message stands above")
        return self.counts

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once, if it has not ended."""
        self._process.kill()
        self._process.wait()
        self._close_input()
        if self._reader.is_alive():
            self._reader.join()
        self._stdout.close()

    @property
    def _stdout(self) -> IO[str]:
        assert self._process.stdout
        return self._process.stdout

    def _close_input(self) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def _read(self) -> None:
        for line in self._stdout:
            self.counts = json.loads(line)


class Lab:
    """The worker's end of the line: its own standard input and output."""

    def __init__(self) -> None:
        self._next_report = 0.0

    def ready(self) -> bool:
        """Say that all is prepared and wait for the word. False: the lab is over before it began."""
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        return sys.stdin.readline().strip() == GO

    def is_over(self, seconds: float) -> bool:
        """Wait so long, or until the lab is over."""
        return bool(select.select([sys.stdin], [], [], seconds)[0])

    def report(self, counts: Callable[[], Counts], *, last: bool = False) -> None:
        """Send the counts if it is time to, or if they are the last."""
        now = time.monotonic()
        if last or now >= self._next_report:
            self._next_report = now + REPORT_SECONDS
            with suppress(BrokenPipeError):
                sys.stdout.write(json.dumps(counts()) + "\n")
                sys.stdout.flush()
