"""SYN cookies between real TCP stacks: a client and a server in namespaces, and a box with a SYN proxy between them."""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
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


@pytest.fixture(scope="module")
def net() -> Iterator[Topology]:
    with Topology(ipv6=True, offloads=False) as topology:
        yield topology


@pytest.fixture(scope="module")
def box(net: Topology, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with running(net, tmp_path_factory.mktemp("box"), PROXY) as running_box:
        yield running_box


@contextmanager
def running(net: Topology, folder: Path, rules: str) -> Iterator[RunningBox]:
    config = folder / "box.yaml"
    config.write_text(HEAD + rules)
    box = RunningBox(net, config)
    try:
        box.wait_for("metrics on", seconds=60)
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


def connect(net: Topology, family: int) -> socket.socket:
    client = net.outside.open_socket(family, socket.SOCK_STREAM)
    client.settimeout(30)
    client.connect((net.inside.ipv6 if family == socket.AF_INET6 else net.inside.ipv4, PORT))
    return client


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def exchange(connection: socket.socket, mine: bytes) -> bytes:
    """Send all and close this half, while all of the other's is read."""
    sender = threading.Thread(target=lambda: (connection.sendall(mine), connection.shutdown(socket.SHUT_WR)))
    sender.start()
    theirs = read_to_end(connection)
    sender.join(30)
    return theirs


FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
OPTIONS = {
    "all": {},
    "no-timestamps": {"client": {"tcp_timestamps": 0}},
    "no-sack": {"client": {"tcp_sack": 0}},
    "no-scale": {"client": {"tcp_window_scaling": 0}},
    "server-without-scale": {"server": {"tcp_window_scaling": 0}},
    "server-without-timestamps": {"server": {"tcp_timestamps": 0}},
    "server-without-sack": {"server": {"tcp_sack": 0}},
}


@contextmanager
def settings(net: Topology, options: str) -> Iterator[None]:
    hosts = {"client": net.outside, "server": net.inside}
    said = [(hosts[host], name, value) for host, each in OPTIONS[options].items() for name, value in each.items()]
    for host, name, value in said:
        host.sysctl(f"ipv4/{name}", value)
    yield
    for host, name, _ in said:
        host.sysctl(f"ipv4/{name}", 1)


@FAMILIES
@pytest.mark.parametrize("options", OPTIONS)
def test_megabytes_go_both_ways(net: Topology, box: RunningBox, family: int, options: str) -> None:
    before = box.rule("cookies")
    with settings(net, options):
        server = listening(net.inside, family)
        serve = serving(server, lambda connection: exchange(connection, blob("down")))
        with serve as uploads, connect(net, family) as client:
            assert exchange(client, blob("up")) == blob("down")
        assert uploads == [blob("up")]
    assert box.rule("cookies") == before + 1


@FAMILIES
def test_a_server_that_speaks_first_is_heard_at_once(net: Topology, box: RunningBox, family: int) -> None:
    """It must have the client's ACK, though the client has nothing to say. SYN-ACKs come again after 1 s."""
    server = listening(net.inside, family)
    with serving(server, lambda connection: connection.sendall(b"220 ready") or connection.recv(10)) as heard:
        began = time.monotonic()
        with connect(net, family) as client:
            assert client.recv(10) == b"220 ready"
            assert time.monotonic() - began < 0.9
            client.sendall(b"QUIT")
            assert client.recv(10) == b""
    assert heard == [b"QUIT"]


@FAMILIES
def test_a_client_that_speaks_first_is_heard_at_once(net: Topology, box: RunningBox, family: int) -> None:
    """What it says before the server answered isn't lost, for which it would wait 200 ms at least."""
    server = listening(net.inside, family)
    with serving(server, lambda connection: connection.sendall(connection.recv(10))):
        times = []
        for _ in range(5):
            began = time.monotonic()
            with connect(net, family) as client:
                client.sendall(b"hello")
                assert client.recv(10) == b"hello"
            times.append(time.monotonic() - began)
    assert min(times) < 0.19


@FAMILIES
def test_resets_of_either_end_are_heard(net: Topology, box: RunningBox, family: int) -> None:
    server = listening(net.inside, family)

    def abort(connection: socket.socket) -> None:
        connection.recv(5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(server, abort), connect(net, family) as client:
        client.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            client.recv(10)

    def heard(connection: socket.socket) -> object:
        try:
            return connection.recv(5) + connection.recv(5)
        except ConnectionResetError:
            return "reset"

    server = listening(net.inside, family)
    with serving(server, heard) as answers:
        with connect(net, family) as client:
            client.sendall(b"hello")
            time.sleep(0.2)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: answers == ["reset"])


@FAMILIES
def test_a_port_that_is_closed_resets(net: Topology, box: RunningBox, family: int) -> None:
    """The client has its connection already when the server refuses it."""
    with pytest.raises(ConnectionResetError), connect(net, family) as client:
        client.recv(10)


@FAMILIES
def test_a_port_is_used_again(net: Topology, box: RunningBox, family: int) -> None:
    """Ten connections of the same ports: each has a flow of its own."""
    server = listening(net.inside, family)
    with serving(server, lambda connection: connection.sendall(connection.recv(10))):
        for number in range(10):
            client = net.outside.open_socket(family, socket.SOCK_STREAM)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(("", 5555))
            client.settimeout(30)
            client.connect((net.inside.ipv6 if family == socket.AF_INET6 else net.inside.ipv4, PORT))
            with client:
                client.sendall(b"%d" % number)
                assert client.recv(10) == b"%d" % number
