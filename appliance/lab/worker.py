"""A part of the lab that is a process of its own, and how it speaks with the lab.

    lab                                  worker (python -m appliance.lab.flood '{…settings…}')
     │ starts it in a namespace ───────────> prepares
     │ <──────────────────────── "ready" ──
     │ ── "go" ──────────────────────────> works
     │ ── "count" ───────────────────────>
     │ <──────────────── counts, as JSON ──
     │ ── "rate 50000", "step 2" ────────> (attackers, clients) works otherwise from now on
     │ closes its standard input ────────> finishes what it has begun
     │ <──────────────────── last counts ── ends

If the lab is killed the worker's standard input closes too, so no worker outlives its lab.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from appliance.lab.errors import LabFailed
from hooks.interfaces.netns import Namespace

READY, GO, COUNT, RATE, STEP = "ready", "go", "count", "rate", "step"
FINISH_SECONDS = 30.0

Counts = dict[str, list[int]]


class Worker:
    """The lab's end: starts `appliance.lab.<module>` in a namespace and asks for its counts.

    A worker that fails says why on its standard error, which is the lab's. For one thread.
    """

    def __init__(self, namespace: Namespace, module: str, settings: Mapping[str, Any]) -> None:
        self.name = module
        argv = [sys.executable, "-m", f"appliance.lab.{module}", json.dumps(settings)]
        self._process: subprocess.Popen[str] = namespace.popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def wait_ready(self) -> None:
        """Wait until it has prepared itself. Raises LabFailed."""
        if self._read() != READY:
            raise LabFailed(f"the lab's {self.name} did not start", hint="its message stands above")

    def go(self) -> None:
        """Let it begin. Raises LabFailed if it has ended."""
        self._write(GO)

    def set(self, name: str, value: float) -> None:
        """Let it work otherwise from now on: RATE, STEP."""
        self._write(f"{name} {value}")

    def count(self) -> Any:
        """What it has counted so far: Counts, of clients a document. Raises LabFailed if it has ended."""
        self._write(COUNT)
        return self._counts(self._read())

    def finish(self) -> Any:
        """Let it finish what it has begun, wait for that, and return its last counts. Raises LabFailed."""
        try:
            last, _ = self._process.communicate(timeout=FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            raise LabFailed(f"the lab's {self.name} does not end") from None
        return self._counts(last)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """End it at once, if it has not ended."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def _write(self, word: str) -> None:
        assert self._process.stdin
        with suppress(BrokenPipeError):  # the answer will be missing, and that is noticed
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()

    def _counts(self, text: str) -> Any:
        if not text:
            raise LabFailed(f"the lab's {self.name} ended early", hint="its message stands above")
        return json.loads(text)


class Lab:
    """The worker's end of the line: its own standard input and output. `counts` is asked when the lab asks, and those
    of `settings` are called with the number that follows their name. For one thread."""

    def __init__(
        self,
        counts: Callable[[], Mapping[str, Any]] = dict,
        settings: Mapping[str, Callable[[float], None]] = MappingProxyType({}),
    ) -> None:
        self._counts = counts
        self._settings = settings
        self._heard = b""  # read from the lab and not yet understood; no file object, whose buffer select can't see

    def ready(self) -> bool:
        """Say that all is prepared and wait for the word. False: the lab is over before it began."""
        self._say(READY)
        return self._hear(None) == GO

    def is_over(self, seconds: float) -> bool:
        """Wait so long, answering meanwhile, or until the lab is over."""
        word = self._hear(seconds)
        name, _, value = (word or "").partition(" ")
        if name == COUNT:
            self.report()
        elif name in self._settings:
            self._settings[name](float(value))
        return word == ""

    def report(self) -> None:
        """Send the counts as they are now: at the end, without being asked."""
        self._say(json.dumps(self._counts()))

    def _hear(self, seconds: float | None) -> str | None:
        """The lab's next word; None if there is none in time, '' if the lab is over."""
        while b"\n" not in self._heard:
            if not select.select([sys.stdin], [], [], seconds)[0]:
                return None
            read = os.read(sys.stdin.fileno(), 4096)
            if not read:
                return ""
            self._heard += read
        word, _, self._heard = self._heard.partition(b"\n")
        return word.decode()

    @staticmethod
    def _say(line: str) -> None:
        with suppress(BrokenPipeError):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
