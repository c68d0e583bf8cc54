"""Namespaces and the links between them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hooks.errors import InterfaceError
from hooks.interfaces.netns import NAMES, Namespace, owned_name, remove_leftovers
from tests.netns import Topology, fresh_name, run_inside

pytestmark = pytest.mark.netns
ETHERTYPE_TEST = b"\x88\xb5"  # IEEE 802 local experimental


def frame(payload: bytes) -> bytes:
    return bytes.fromhex("020000000002020000000001") + ETHERTYPE_TEST + payload.ljust(46, b"\0")


def namespace_of_this_thread() -> int:
    return Path("/proc/thread-self/ns/net").stat().st_ino


def test_entering_moves_only_this_thread_and_only_for_the_block(namespace: Namespace) -> None:
    home = namespace_of_this_thread()
    seen: list[int] = []
    elsewhere = threading.Event()
    other = threading.Thread(target=lambda: (elsewhere.wait(), seen.append(namespace_of_this_thread())))
    other.start()
    with namespace.entered():
        assert namespace_of_this_thread() == namespace.path.stat().st_ino
        elsewhere.set()
        other.join()
        with namespace.entered():
            assert namespace_of_this_thread() != home
        assert namespace_of_this_thread() != home
    assert seen == [home] == [namespace_of_this_thread()]


def test_a_thread_comes_home_after_an_exception(namespace: Namespace) -> None:
    home = namespace_of_this_thread()
    with pytest.raises(ZeroDivisionError), namespace.entered():
        raise ZeroDivisionError
    assert namespace_of_this_thread() == home


def test_programs_run_inside(namespace: Namespace) -> None:
    assert namespace.run(["ip", "-o", "link"]).stdout.count("\n") == 1
    assert run_inside(namespace, namespace_of_this_thread) == namespace.path.stat().st_ino


def test_a_namespace_that_does_not_exist_is_named() -> None:
    with pytest.raises(InterfaceError) as raised, Namespace("tgt-nowhere").entered():
        pass
    assert str(raised.value) == "tgt-nowhere: no such network namespace (see `ip netns list`)"


def test_closing_twice_is_harmless() -> None:
    made = Namespace.create(fresh_name("twice"))
    made.close()
    made.close()
    assert not made.path.exists()


def test_leftovers_of_a_dead_process_are_removed_and_those_of_a_living_one_stay() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = Namespace.create(f"tgleft{child.pid}-box")
    orphan = dead.popen(["sleep", "60"])
    assert dead.processes() == [orphan.pid]
    with Namespace.create(owned_name("tgleft", "box")) as living:
        assert remove_leftovers("tgleft") == [dead.name]
        assert living.path.exists()
    assert orphan.wait(timeout=5) == -signal.SIGKILL
    assert not dead.path.exists()


def test_the_box_forwards_nothing_by_itself(topology: Topology) -> None:
    with topology.outside.packet_socket() as wire, topology.inside.packet_socket() as far:
        wire.send(frame(b"hello"))
        assert far.receive(1, timeout=0.1) == []


def test_a_bridge_joins_the_hosts(topology: Topology) -> None:
    with topology.bridge(), topology.outside.packet_socket() as wire, topology.inside.packet_socket() as far:
        tagged = frame(b"tagged")[:12] + bytes.fromhex("8100600a") + frame(b"tagged")[12:]
        wire.send(frame(b"hello"), tagged)
        assert far.receive(2) == [frame(b"hello"), tagged]
        topology.outside.run(["ping", "-c", "1", "-W", "1", topology.inside.ipv4])
    assert topology.outside.statistics()["rx_packets"] >= 1


def test_ipv6_and_offloads_as_asked() -> None:
    with Topology(ipv6=True, offloads=False) as net, net.bridge():
        net.outside.run(["ping", "-c", "1", "-W", "1", net.inside.ipv6])
        features = net.outside.run(["ethtool", "-k", "eth0"]).stdout
        assert "\ntcp-segmentation-offload: off" in features
        assert "\ntx-checksumming: off" in features


def test_nothing_is_left_behind() -> None:
    with Topology() as net:
        names = {net.outside.name, net.box.name, net.inside.name}
        assert names <= {entry.name for entry in NAMES.iterdir()}
    assert not names & {entry.name for entry in NAMES.iterdir()}
