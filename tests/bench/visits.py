"""Good clients of the lab that cost little: `visitors.c` in the namespaces of clients and server, window by window."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.lab.network import CLIENT_IPV4, CLIENT_IPV6, SERVER_IPV4, SERVER_IPV6, LabNetwork
from appliance.lab.report import Traffic
from hooks.interfaces.netns import Namespace

PORT = 8080
BEGIN, END = "begin", "end"


@dataclass(frozen=True, slots=True)
class Visit:
    """What the clients saw of one window. `held` are questions of connections that stand, of which `alive` of
    `connections` still do, `new` connections made in it; `prompt` those of either that lost no frame on the way.
    `median` and `high` are round trips in milliseconds, `high` the 99th percentile."""

    connections: int
    alive: int
    held: Traffic
    new: Traffic
    prompt: Traffic
    median: float
    high: float

    @classmethod
    def of(cls, document: dict[str, Any]) -> Visit:
        held, new = document["held"], document["new"]
        _, median, _, high = (nanoseconds / 1e6 for nanoseconds in document["round_trips"])
        return cls(
            held["connections"],
            held["alive"],
            Traffic(held["asked"], held["made"]),
            Traffic(new["asked"], new["made"]),
            Traffic(held["asked"] + new["asked"], sum(each["made"] - each["late"] for each in (held, new))),
            median,
            high,
        )


class Visitors:
    """The clients, while they visit. For one thread."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def begin(self) -> None:
        """Count what begins from now on."""
        self._say(BEGIN)

    def end(self) -> Visit:
        """Count nothing more that begins, and wait for what is under way."""
        self._say(END)
        assert self._process.stdout
        return Visit.of(json.loads(self._process.stdout.readline()))

    def _say(self, word: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()


@contextmanager
def visiting(tools: Path, network: LabNetwork) -> Iterator[Visitors]:
    """Let clients visit the server by IPv4 and IPv6, from all addresses that the lab's clients have."""
    tool = str(tools / "visitors")
    words = [SERVER_IPV4, *CLIENT_IPV4, "+", SERVER_IPV6, *CLIENT_IPV6]
    with ExitStack() as ends:
        ends.enter_context(_running(network.server, [tool, "serve", str(PORT)]))
        yield Visitors(ends.enter_context(_running(network.clients, [tool, "ask", str(PORT), *words])))


@contextmanager
def _running(namespace: Namespace, command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A program that ends with its standard input."""
    with namespace.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
