"""SYN cookies between real TCP stacks: a client and a server in namespaces, and a box with a SYN proxy between them."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from tests.appliance.box.conftest import RunningBox, wait_until
from tests.integration.proxied import (
    FAMILIES,
    PORT,
    PROXY,
    TRACKED,
    address,
    assert_nothing_was_invalid,
    blob,
    connect,
    exchange,
    listening,
    running,
    serving,
)
from tests.netns import Host, Topology
from tests.stages import build_stage


@pytest.fixture(scope="module")
def net() -> Iterator[Topology]:
    with Topology(ipv6=True, offloads=False) as topology:
        yield topology


@pytest.fixture
def own_net() -> Iterator[Topology]:
    """For a box of other rules."""
    with Topology(ipv6=True, offloads=False) as topology:
        yield topology


@pytest.fixture(scope="module", params=["", TRACKED], ids=["alone", "with-connections"])
def box(request: pytest.FixtureRequest, net: Topology) -> Iterator[RunningBox]:
    with TemporaryDirectory() as folder, running(net, Path(folder), PROXY + request.param) as running_box:
        yield running_box


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
    assert_nothing_was_invalid(box)


@FAMILIES
def test_senders_may_leave_sums_and_segments_to_their_card(tmp_path: Path, family: int) -> None:
    """As virtual machines do. The box's own interfaces finish what leaves, so that receivers check each segment."""
    with Topology(ipv6=True) as own, running(own, tmp_path, PROXY):
        for interface in ("outside", "inside"):
            own.box.offloads(False, interface)
        serve = serving(listening(own.inside, family), lambda connection: exchange(connection, blob("down")))
        with serve as uploads, connect(own, family) as client:
            assert exchange(client, blob("up")) == blob("down")
        assert uploads == [blob("up")]


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
    """The client has its connection already when the server refuses it. It has something to say, so that a frame that
    gets lost comes again (decision 59)."""
    with pytest.raises(ConnectionResetError), connect(net, family) as client:
        client.sendall(b"question")
        client.recv(10)


def echo_until_reset(connection: socket.socket) -> object:
    connection.sendall(connection.recv(10))
    try:
        return connection.recv(10)
    except ConnectionResetError:
        return "reset"


@FAMILIES
def test_a_port_is_used_again(net: Topology, box: RunningBox, family: int) -> None:
    """Ten connections of the same ports: each has a flow of its own."""
    server = listening(net.inside, family)
    with serving(server, echo_until_reset) as answers:
        for number in range(10):
            client = net.outside.open_socket(family, socket.SOCK_STREAM)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind(("", 5555))
            client.settimeout(30)
            client.connect((address(net, family), PORT))
            with client:
                client.sendall(b"%d" % number)
                assert client.recv(10) == b"%d" % number
            wait_until(lambda number=number: answers == ["reset"] * (number + 1))


@FAMILIES
def test_good_connections_are_made_while_a_flood_runs(net: Topology, box: RunningBox, family: int) -> None:
    """Forged SYNs, more than any backlog holds, from sources that answer nothing."""
    before = box.rule("cookies")
    flood = threading.Thread(target=forge, args=(net, family))
    server = listening(net.inside, family)
    with serving(server, lambda connection: connection.sendall(connection.recv(10))) as answers:
        flood.start()
        for made in itertools.count(1):
            with connect(net, family) as client:
                client.sendall(b"%d" % made)
                assert client.recv(10) == b"%d" % made
            if not flood.is_alive():
                break
    assert len(answers) == made
    assert made > 20
    assert box.rule("cookies") - before == FORGED + made
    assert half_open(net.inside) == 0


FORGED, FLOOD_RATE = 5_000, 5_000  # frames, and frames a second


def forge(net: Topology, family: int) -> None:
    """SYNs from ever other ports, at a bounded rate."""
    source = "10.0.9.9" if family == socket.AF_INET else "fd00:9::9"
    frame = Ether(src=net.outside.ethernet, dst=net.inside.ethernet)
    frame /= (IP if family == socket.AF_INET else IPv6)(src=source, dst=address(net, family))
    frame /= TCP(sport=1, dport=PORT, flags="S", options=[("MSS", 1460)])
    template = bytes(frame)
    at = 14 + (20 if family == socket.AF_INET else 40)
    with net.outside.packet_socket() as wire:
        for number in range(1, FORGED + 1):
            wire.send(template[:at] + struct.pack("!H", number) + template[at + 2 :])
            if number % 100 == 0:
                time.sleep(100 / FLOOD_RATE)


def half_open(host: Host) -> int:
    lines = host.run(["ss", "-Hnt", "state", "syn-recv"]).stdout
    return len(lines.splitlines())


LOSSY = """
stages: [{id: loss, object: loss.bc, program: loss, at: after-rules}]
"""
LOSS = """
#include "stage.h"

STAGE(loss)
{
	if (!frame)
		return NEXT;
	return bpf_get_prandom_u32() % 64 ? NEXT : XDP_DROP;
}
"""


@FAMILIES
def test_a_way_that_loses_frames(own_net: Topology, tmp_path: Path, family: int) -> None:
    """One of 64, in both directions: SACK blocks and retransmissions are translated, too."""
    (tmp_path / "loss.c").write_text(LOSS)
    build_stage(tmp_path / "loss.c")
    with running(own_net, tmp_path, PROXY + LOSSY) as lossy:
        server = listening(own_net.inside, family)
        with serving(server, lambda connection: exchange(connection, blob("down"))) as uploads:
            with connect(own_net, family) as client:
                assert exchange(client, blob("up")) == blob("down")
            wait_until(lambda: uploads == [blob("up")])
        assert lossy.rule("loss.drop") > 10


FORGETFUL = """
stages: [{id: forgetful, object: forgetful.bc, program: forgetful, at: after-rules}]
"""
FORGET = """
#include "stage.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} seen SEC(".maps");

/* Lose the first SYN to the server, and its first reset. */
STAGE(forgetful)
{
	__u32 which, *times;

	if (!frame || (frame->tcp_flags != TCP_SYN && !(frame->tcp_flags & TCP_RST)))
		return NEXT;
	which = frame->tcp_flags != TCP_SYN;
	times = bpf_map_lookup_elem(&seen, &which);
	return times && !(*times)++ ? XDP_DROP : NEXT;
}
"""


@FAMILIES
@pytest.mark.parametrize("rules", ["", TRACKED], ids=["alone", "with-connections"])
def test_a_way_that_loses_the_syn_and_the_reset(own_net: Topology, tmp_path: Path, family: int, rules: str) -> None:
    """The client probes the window that is shut, which asks the server again."""
    (tmp_path / "forgetful.c").write_text(FORGET)
    build_stage(tmp_path / "forgetful.c")
    with running(own_net, tmp_path, PROXY + rules + FORGETFUL) as forgetful:
        with pytest.raises(ConnectionResetError), connect(own_net, family) as client:
            client.sendall(b"question")
            client.recv(10)
        assert forgetful.rule("forgetful.drop") == 2


@FAMILIES
def test_a_client_that_is_reset_comes_again_by_itself(own_net: Topology, tmp_path: Path, family: int) -> None:
    """Its program doesn't notice; and it is known from then on."""
    with running(own_net, tmp_path, PROXY.replace("syn-proxy}", "syn-proxy, syn_proxy: {mode: reset}}")) as resetting:
        server = listening(own_net.inside, family)
        with serving(server, lambda connection: exchange(connection, blob("down"))) as uploads:
            for _ in range(2):
                with connect(own_net, family) as client:
                    assert exchange(client, blob("up")) == blob("down")
            wait_until(lambda: uploads == [blob("up")] * 2)
        assert resetting.rule("cookies") == 1
        assert resetting.rule("syn-proxy.drop") == 1
