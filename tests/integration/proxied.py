"""A box with a SYN proxy between real TCP stacks, and connections through it."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.appliance.box.conftest import HEAD, RunningBox
from tests.netns import Host, Topology

PORT = 8080
MEGABYTES = 3
PROXY = """
rules:
  - {id: cookies, match: {tcp.flags: {all: [syn], not: [ack]}, tcp.dport: 8080}, direction: in, action: syn-proxy}
"""
TRACKED = """\
  - {id: nobody-asked, match: {ct.state: invalid}, action: drop}
connections: {grace: 0}
"""


FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])


@contextmanager
def running(net: Topology, folder: Path, rules: str) -> Iterator[RunningBox]:
    config = folder / "box.yaml"
    config.write_text(HEAD + rules)
    box = RunningBox(net, config)
    try:
        box.wait_for("metrics on", seconds=180)
        yield box
    finally:
        box.end()


def blob(seed: str) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(MEGABYTES << 20)


def read_to_end(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def listening(host: Host, family: int) -> socket.socket:
    server = host.open_socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", PORT))
    server.listen(64)
    server.settimeout(30)
    return server


@contextmanager
def serving(server: socket.socket, serve: Callable[[socket.socket], object]) -> Iterator[list[object]]:
    """One connection after the other, each by `serve`, in a thread; what it answered."""
    answers: list[object] = []

    def body() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(30)
                answers.append(serve(connection))

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


def address(net: Topology, family: int) -> str:
    return address_of(net.inside, family)


def address_of(host: Host, family: int) -> str:
    return host.ipv6 if family == socket.AF_INET6 else host.ipv4


def connect(net: Topology, family: int) -> socket.socket:
    return connect_to(net.outside, net.inside, family)


def connect_to(client: Host, server: Host, family: int) -> socket.socket:
    connection = client.open_socket(family, socket.SOCK_STREAM)
    connection.settimeout(30)
    connection.connect((address_of(server, family), PORT))
    return connection


def exchange(connection: socket.socket, mine: bytes) -> bytes:
    """Send all and close this half, while all of the other's is read."""
    sender = threading.Thread(target=lambda: (connection.sendall(mine), connection.shutdown(socket.SHUT_WR)))
    sender.start()
    theirs = read_to_end(connection)
    sender.join(30)
    return theirs


def assert_nothing_was_invalid(box: RunningBox) -> None:
    found = [number for name, number in box.metrics().items() if "rule_packets" in name and "nobody-asked" in name]
    assert sum(found) == 0
