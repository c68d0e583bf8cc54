"""Rules that are exchanged while a flood is under way: who is connected stays so, nothing of the flood gets through,
and of what is good no frame is lost or overtaken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from appliance.lab.attacks.frames import attack_frames
from appliance.lab.attacks.names import VLAN, marker
from appliance.lab.attacks.sockets import SocketFlood
from hooks.af_packet.counters import FrameCounter
from tests.appliance.box.conftest import HEAD, RunningBox, wait_until
from tests.netns import Topology
from tests.numbered import numbered_frames

pytestmark = pytest.mark.netns

KINDS = ("ack", "rst", "syn-ack", "xmas", "null", "ntp", "memcached")
ATTACKS = (*KINDS, *(f"{name}{VLAN}" for name in KINDS))
ATTACK_PREFIX = bytes.fromhex(marker(KINDS[0]).replace(":", ""))[:5]
FRAMES_A_SECOND, GOOD_FRAMES_A_SECOND = 8000, 2000
CONNECTIONS, PORT = 16, 8080
RELOADS = 3
GUARD = """
connections: {grace: 0}
rules:
  - {id: nobody-asked, match: {ct.state: invalid}, direction: in, action: drop}
  - {id: reflected, match: {udp.sport: [ntp, 11211]}, direction: in, action: drop}
"""


def rules(number: int) -> str:
    """The guards, and behind them others each time, so that all of it is proved and compiled."""
    return GUARD + "".join(
        f"  - {{id: r{port}, match: {{udp.dport: {port}, ip.ttl: {{gt: {number}}}}}, action: drop}}\n"
        for port in range(20000 + 20 * number, 20040 + 20 * number)
    )


class Flood(threading.Thread):
    """Frames of every attack from forged sources, at an even rate, until `over` is set."""

    def __init__(self, net: Topology) -> None:
        super().__init__()
        with net.outside.entered():
            self.frames = SocketFlood(net.outside.interface, attack_frames(ATTACKS * 4))
        self.over = threading.Event()

    def run(self) -> None:
        self.frames.set_rate(FRAMES_A_SECOND)
        while not self.over.wait(0.002):
            self.frames.catch_up()


@contextmanager
def flooding(net: Topology) -> Iterator[Flood]:
    flood = Flood(net)
    flood.start()
    try:
        yield flood
    finally:
        flood.over.set()
        flood.join()
        flood.frames.close()


@contextmanager
def connections(net: Topology) -> Iterator[list[socket.socket]]:
    """Connections of clients outside, each with a server that echoes."""
    with ExitStack() as ends:
        listener = ends.enter_context(net.inside.open_socket(socket.AF_INET, socket.SOCK_STREAM))
        listener.bind((net.inside.ipv4, PORT))
        listener.listen(CONNECTIONS)
        clients = []
        for _ in range(CONNECTIONS):
            client = ends.enter_context(net.outside.open_socket(socket.AF_INET, socket.SOCK_STREAM))
            client.settimeout(10)
            client.connect((net.inside.ipv4, PORT))
            served = ends.enter_context(listener.accept()[0])
            threading.Thread(target=echo, args=(served,), daemon=True).start()
            clients.append(client)
        yield clients


def echo(served: socket.socket) -> None:
    try:
        while asked := served.recv(100):
            served.sendall(asked)
    except OSError:
        return  # the test has ended


def exchange(clients: list[socket.socket], number: int) -> None:
    """Every connection carries a question and its answer."""
    question = f"question {number}".encode().ljust(100, b".")
    for client in clients:
        client.sendall(question)
    for client in clients:
        assert client.recv(100, socket.MSG_WAITALL) == question


def counted(box: RunningBox, name: str) -> float:
    return sum(value for series, value in box.metrics().items() if series.startswith(f"tidegate_{name}"))


def test_a_flood_that_meets_reloads_gets_nowhere_and_hurts_nobody(tmp_path: Path) -> None:
    config = tmp_path / "box.yaml"
    config.write_text(HEAD + rules(0))
    with Topology(offloads=False) as net, ExitStack() as ends:
        box = RunningBox(net, config)
        ends.callback(box.end)
        box.wait_for("metrics on")
        with net.inside.entered():
            arrived = ends.enter_context(FrameCounter(net.inside.interface, ATTACK_PREFIX))
        clients = ends.enter_context(connections(net))
        with flooding(net) as flood, numbered_frames(net, per_second=GOOD_FRAMES_A_SECOND) as good:
            wait_until(lambda: flood.frames.sent > 1000)
            for number in range(1, RELOADS + 1):
                before = flood.frames.sent
                box.reload(rules(number), "reloaded:", times=number)
                assert flood.frames.sent > before, "no frame came meanwhile; this test would prove nothing"
                exchange(clients, number)
            wait_until(lambda: flood.frames.sent > before + 1000)
        exchange(clients, 0)
        assert counted(box, "capture_dropped_packets_total") == 0
        assert box.rule("nobody-asked") + box.rule("reflected") == flood.frames.sent
        assert arrived.read() == 0
        assert (good.missed, good.disordered) == (0, [])
        assert good.sent == good.received
