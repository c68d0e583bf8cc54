"""An isolated interface belongs to the box alone, and is afterwards as it was before."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from hooks.errors import InterfaceError
from hooks.interfaces.clsact import BOX_MARK, close_to_host, opening
from hooks.interfaces.ethtool import Feature, read_features, set_features
from hooks.interfaces.isolation import Isolation
from hooks.interfaces.netdev import Interface, find_interface
from tests.netns import Host, PacketSocket, Topology
from tests.opener import IsolationByOpener

pytestmark = pytest.mark.netns

HOLDER = """
import signal, sys
from pathlib import Path
from hooks.interfaces.isolation import Isolation
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with Isolation(sys.argv[1], state_directory=Path(sys.argv[2])):
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def net() -> Any:
    with Topology(ipv6=True) as made:
        with made.box.entered():
            set_features("outside", {"rx-gro": True})
        yield made


class Isolate(Protocol):
    """Either way to isolate an interface."""

    def __call__(self, name: str, *, state_directory: Path) -> AbstractContextManager[Interface]: ...


@pytest.fixture(params=[Isolation, IsolationByOpener], ids=["here", "by an opener"])
def isolate(request: pytest.FixtureRequest) -> Isolate:
    way: Isolate = request.param
    return way


def snapshot(box: Host, interface: str = "outside") -> dict[str, object]:
    """Everything that isolation could leave changed, as the system's own tools tell it."""
    with box.entered():
        features: dict[str, Feature] = read_features(interface)
        described: Interface = find_interface(interface)
    link = json.loads(box.run(["ip", "-j", "-d", "link", "show", interface]).stdout)[0]
    return {
        "features": features,
        "up": described.up,
        "flags": sorted(set(link["flags"]) & {"UP", "PROMISC", "ALLMULTI", "NOARP", "MULTICAST"}),
        "promiscuity": link["promiscuity"],
        "mtu": link["mtu"],
        "addresses": described.own_addresses,
        "sysctl": {
            path.name: path.read_text() for path in sorted(sysctls(box, interface)) if path.name != "stable_secret"
        },
        "qdiscs": box.run(["tc", "qdisc", "show", "dev", interface]).stdout,
        "filters": [
            box.run(["tc", "filter", "show", "dev", interface, direction], check=False).stdout
            for direction in ("ingress", "egress")
        ],
    }


def sysctls(box: Host, interface: str) -> list[Path]:
    return list((Path("/proc/sys/net/ipv6/conf") / interface).iterdir())


def frame(payload: bytes = b"tide") -> bytes:
    return bytes.fromhex("020000000002020000000001") + b"\x88\xb5" + payload.ljust(46, b"\0")


def isolated_settings(box: Host) -> tuple[bool, bool, str]:
    with box.entered():
        return (
            find_interface("outside").up,
            read_features("outside")["rx-gro"].active,
            box.sysctl("ipv6/conf/outside/disable_ipv6"),
        )


@pytest.mark.parametrize("was_up", [True, False])
def test_everything_is_restored(net: Topology, tmp_path: Path, isolate: Isolate, was_up: bool) -> None:
    net.box.set_up("outside", was_up)
    with net.box.entered():
        before = snapshot(net.box)
        with isolate("outside", state_directory=tmp_path) as held:
            assert held.name == "outside"
            assert isolated_settings(net.box) == (True, False, "1")
            assert snapshot(net.box) != before
        assert snapshot(net.box) == before
    assert list(tmp_path.iterdir()) == []


def test_everything_is_restored_after_an_exception_and_leaving_twice_is_harmless(
    net: Topology, tmp_path: Path, isolate: Isolate
) -> None:
    with net.box.entered():
        before = snapshot(net.box)
        isolation = isolate("outside", state_directory=tmp_path)
        with pytest.raises(ZeroDivisionError), isolation:
            raise ZeroDivisionError
        isolation.__exit__(None, None, None)
        assert snapshot(net.box) == before


def test_a_failure_half_way_is_undone(
    net: Topology, tmp_path: Path, isolate: Isolate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InterfaceError("the card refuses", where="outside")

    with net.box.entered():
        before = snapshot(net.box)
        with monkeypatch.context() as patch:
            patch.setattr("hooks.interfaces.isolation.read_features", refuse)
            with pytest.raises(InterfaceError, match="outside: the card refuses"):
                isolate("outside", state_directory=tmp_path).__enter__()
        assert snapshot(net.box) == before


def test_a_step_that_cannot_be_undone_keeps_no_other_from_it(
    net: Topology, tmp_path: Path, isolate: Isolate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InterfaceError("the card refuses", where="outside")

    with net.box.entered():
        before = snapshot(net.box)
        isolation = isolate("outside", state_directory=tmp_path)
        isolation.__enter__()
        with monkeypatch.context() as patch:
            patch.setattr("hooks.interfaces.isolation.set_features", refuse)
            with pytest.raises(InterfaceError, match="outside: it can't be put back as it was: the card refuses"):
                isolation.__exit__(None, None, None)
        assert {**snapshot(net.box), "features": ()} == {**before, "features": ()}
        with isolate("outside", state_directory=tmp_path):  # what was found first is not forgotten
            pass
        assert snapshot(net.box) == before


def hold_in_child(box: Host, state_directory: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", HOLDER, "outside", str(state_directory)]
    child = box.popen(argv, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_sigterm_restores(net: Topology, tmp_path: Path) -> None:
    with net.box.entered():
        before = snapshot(net.box)
        with hold_in_child(net.box, tmp_path) as child:
            assert snapshot(net.box) != before
            child.send_signal(signal.SIGTERM)
        assert (child.returncode, snapshot(net.box)) == (0, before)


def test_what_a_killed_box_left_is_restored_by_the_next_one(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    with net.box.entered():
        before = snapshot(net.box)
        with hold_in_child(net.box, tmp_path) as child:
            child.kill()
        assert snapshot(net.box) != before
        with isolate("outside", state_directory=tmp_path):
            assert isolated_settings(net.box) == (True, False, "1")
        assert snapshot(net.box) == before


def test_only_one_box_may_hold_it(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    with net.box.entered(), hold_in_child(net.box, tmp_path) as child:
        with pytest.raises(InterfaceError) as raised, isolate("outside", state_directory=tmp_path):
            pass
        child.terminate()
    assert str(raised.value) == "outside: another box holds it (end that one first)"


def test_a_clsact_that_was_there_stays_with_its_filters(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    net.box.run(["tc", "qdisc", "add", "dev", "outside", "clsact"])
    mine = ["tc", "filter", "add", "dev", "outside", "ingress", "prio", "7", "protocol", "ip", "u32"]
    net.box.run([*mine, "match", "u32", "0", "0", "classid", "1:1"])
    with net.box.entered():
        before = snapshot(net.box)
        with isolate("outside", state_directory=tmp_path):
            pass
        assert snapshot(net.box) == before


def test_filters_that_somebody_adds_meanwhile_stay(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    with net.box.entered(), isolate("outside", state_directory=tmp_path):
        theirs = ["tc", "filter", "add", "dev", "outside", "egress", "prio", "7", "protocol", "ip", "u32"]
        net.box.run([*theirs, "match", "u32", "0", "0", "classid", "1:1"])
    assert "clsact" in net.box.run(["tc", "qdisc", "show", "dev", "outside"]).stdout
    left = net.box.run(["tc", "filter", "show", "dev", "outside", "egress"]).stdout
    assert "pref 7 u32" in left
    assert "tidegate" not in left


PASSES_ALL = ["prio", "1", "protocol", "all", "bpf", "da", "bytecode", "1,6 0 0 0"]


def add_filter_in_front(box: Host, direction: str) -> None:
    """What lets every frame through, at the priority of ours: the newest there is the first."""
    box.run(["tc", "qdisc", "add", "dev", "outside", "clsact"], check=False)
    box.run(["tc", "filter", "add", "dev", "outside", direction, *PASSES_ALL])


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_a_filter_in_front_is_found_and_ours_put_first_again(
    net: Topology, tmp_path: Path, isolate: Isolate, direction: str
) -> None:
    with net.box.entered():
        add_filter_in_front(net.box, direction)
        before = snapshot(net.box)
        index = find_interface("outside").index
        with isolate("outside", state_directory=tmp_path):
            assert opening(index) is None
            for handle in ("0x2", "0x3", "0x4"):
                add_filter_in_front(net.box, direction)
                found = f"a filter of somebody else (bpf, priority 1, handle {handle}) stands first at its {direction}"
                assert opening(index) == found
                close_to_host("outside", index)
                assert opening(index) is None
            for handle in ("0x2", "0x3", "0x4"):
                net.box.run(
                    ["tc", "filter", "del", "dev", "outside", direction, *PASSES_ALL[:4], "handle", handle, "bpf"]
                )
        assert snapshot(net.box) == before


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_a_filter_that_is_gone_or_another_is_found_and_put_back(
    net: Topology, tmp_path: Path, isolate: Isolate, direction: str
) -> None:
    with net.box.entered(), isolate("outside", state_directory=tmp_path):
        index = find_interface("outside").index
        net.box.run(["tc", "filter", "del", "dev", "outside", direction])
        assert opening(index) == f"the filter that shuts the host out is gone from its {direction}"
        close_to_host("outside", index)
        assert opening(index) is None
        net.box.run(["tc", "filter", "replace", "dev", "outside", direction, "handle", "0x7469", *PASSES_ALL])
        assert opening(index) is not None
        close_to_host("outside", index)
        assert opening(index) is None
        net.box.run(["tc", "qdisc", "del", "dev", "outside", "clsact"])
        assert opening(index) is not None
        close_to_host("outside", index)
        assert opening(index) is None


def test_a_filter_in_front_of_a_killed_boxs_does_not_stay_there(
    net: Topology, tmp_path: Path, isolate: Isolate
) -> None:
    with net.box.entered():
        with hold_in_child(net.box, tmp_path) as child:
            child.kill()
        add_filter_in_front(net.box, "ingress")
        with isolate("outside", state_directory=tmp_path):
            assert opening(find_interface("outside").index) is None


def test_a_filter_that_cannot_be_overtaken_is_named(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    net.box.run(["tc", "qdisc", "add", "dev", "outside", "clsact"])
    theirs = ["tc", "filter", "add", "dev", "outside", "ingress", "prio", "1", "protocol", "all", "u32"]
    net.box.run([*theirs, "match", "u32", "0", "0", "classid", "1:1"])
    with net.box.entered():
        before = snapshot(net.box)
        with pytest.raises(InterfaceError) as raised, isolate("outside", state_directory=tmp_path):
            pass
        assert str(raised.value) == (
            "outside: it can't be closed to the host's stack: Invalid argument"
            " (a filter of somebody else (u32, priority 1, handle 0x80000000) is in the way at its ingress)"
        )
        assert snapshot(net.box) == before


def test_leaving_is_quiet_when_the_interface_is_gone(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    with net.box.entered():
        with isolate("outside", state_directory=tmp_path):
            net.box.delete_link("outside")
        assert list(tmp_path.iterdir()) == []
        net.box.add_veth("outside", net.outside, "eth0")
        with isolate("outside", state_directory=tmp_path):
            assert isolated_settings(net.box) == (True, False, "1")


def test_a_renamed_interface_is_restored_under_its_new_name(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    with net.box.entered():
        before = snapshot(net.box)
        with isolate("outside", state_directory=tmp_path):
            net.box.set_link("outside", state="down")
            with net.box.netlink() as route:
                route.link("set", index=find_interface("outside").index, ifname="moved", state="up")
        assert isinstance(before["qdiscs"], str)
        after = snapshot(net.box, "moved")
        assert {**after, "qdiscs": ""} == {**before, "qdiscs": ""}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda net: net.box.add_address("outside", "192.0.2.1/24"),
            "outside: it carries the address 192.0.2.1/24"
            " (an inline interface has none: `ip address flush dev outside`)",
            id="an address",
        ),
        pytest.param(
            lambda net: net.box.add_bridge("br0", ["outside"]),
            "outside: it is a port of br0 (take it out with `ip link set outside nomaster`)",
            id="a bridge port",
        ),
        pytest.param(
            lambda net: net.box.run(["tc", "qdisc", "add", "dev", "outside", "ingress"]),
            "outside: an `ingress` qdisc stands where clsact must be"
            " (remove it with `tc qdisc del dev outside ingress`)",
            id="an ingress qdisc",
        ),
    ],
)
def test_an_interface_in_use_is_refused(
    net: Topology, tmp_path: Path, isolate: Isolate, change: Any, message: str
) -> None:
    change(net)
    with net.box.entered():
        before = snapshot(net.box)
        with pytest.raises(InterfaceError) as raised, isolate("outside", state_directory=tmp_path):
            pass
        assert str(raised.value) == message
        assert snapshot(net.box) == before
    assert list(tmp_path.iterdir()) == []


def test_loopback_is_refused(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    with net.box.entered(), pytest.raises(InterfaceError) as raised, isolate("lo", state_directory=tmp_path):
        pass
    assert str(raised.value) == "lo: the loopback interface can't be inline (name a network card)"


def test_the_host_hears_nothing_and_the_tap_hears_all(net: Topology, tmp_path: Path, isolate: Isolate) -> None:
    net.box.sysctl("ipv4/icmp_ratelimit", 0)
    with net.box.entered(), isolate("outside", state_directory=tmp_path), PacketSocket("outside") as tap:
        net.box.run(["ip", "address", "add", "10.0.0.9/24", "dev", "outside"])  # after isolation, so not refused
        with net.outside.packet_socket() as wire:
            wire.send(frame())
            assert frame() in tap.drain()
            answered = net.outside.run(["ping", "-c", "1", "-W", "1", "10.0.0.9"], check=False).returncode == 0
            assert not answered
            assert [heard for heard in wire.drain() if heard[6:12] != bytes.fromhex("020000000001")] == []


def test_the_host_is_silent_and_the_box_past_the_queueing_discipline_is_not(
    net: Topology, tmp_path: Path, isolate: Isolate
) -> None:
    with net.box.entered(), isolate("outside", state_directory=tmp_path), net.outside.packet_socket() as wire:
        wire.drain()
        with PacketSocket("outside", bypass=False) as host, PacketSocket("outside", bypass=True) as box:
            with pytest.raises(OSError, match="No buffer space available"):  # what a dropping clsact answers
                host.send(frame(b"from the host"))
            box.send(frame(b"from the box"))
        assert wire.drain() == [frame(b"from the box")]


def test_what_carries_the_boxs_mark_leaves_through_the_queueing_discipline(
    net: Topology, tmp_path: Path, isolate: Isolate
) -> None:
    with net.box.entered(), isolate("outside", state_directory=tmp_path), net.outside.packet_socket() as wire:
        wire.drain()
        with PacketSocket("outside", bypass=False) as box:
            box.socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, BOX_MARK)
            box.send(frame(b"cut by the kernel"))
        assert wire.drain() == [frame(b"cut by the kernel")]
