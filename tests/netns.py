"""Private networks for tests: two hosts with a box between them, each in a network namespace of its own.

      outside namespace           box namespace             inside namespace
    +-------------------+   +-----------------------+   +-------------------+
    |              eth0 |===| outside       inside  |===| eth0              |
    | 10.0.0.1/24       |   |  no addresses, no     |   | 10.0.0.2/24       |
    | fd00::1/64        |   |  forwarding between   |   | fd00::2/64        |
    | 02:00:00:00:00:01 |   |                       |   | 02:00:00:00:00:02 |
    +-------------------+   +-----------------------+   +-------------------+

    with Topology() as net:
        with net.box.entered():                       # this thread is now in the box: sockets, netdev, subprocesses
            ...                                       # whatever is opened here stays there
        with net.outside.packet_socket() as wire, net.inside.packet_socket() as far:
            wire.send(frame)
            assert far.receive(1) == [frame]
        net.outside.run(["ping", "-c", "1", net.inside.ipv4])

Hosts know each other by static neighbour entries, so that no ARP disturbs a count, and have no IPv6 unless asked, so
that nothing talks by itself. Namespaces carry the process id and are removed when the block ends; those of a killed
run are removed when the next one starts.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import pytest

from hooks.interfaces.ethtool import read_features, set_features
from hooks.interfaces.netns import Namespace, owned_name, remove_leftovers
from hooks.linux.if_packet import (
    ETH_P_8021Q,
    ETH_P_ALL,
    PACKET_IGNORE_OUTGOING,
    PACKET_QDISC_BYPASS,
    SOL_PACKET,
    TP_STATUS_VLAN_TPID_VALID,
    TP_STATUS_VLAN_VALID,
)

__all__ = ["Host", "PacketSocket", "Topology", "namespace", "run_inside", "topology"]

PREFIX = "tgt"  # test namespaces: tgt<pid>-<n>-<role>
OFFLOADS_OF_SENDERS = ("tx-checksum", "tx-scatter-gather", "segmentation")  # parts of the features' names
PACKET_AUXDATA = 8
SO_RCVBUFFORCE = 33
_AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid
_numbers = itertools.count(1)
_Result = TypeVar("_Result")


def fresh_name(role: str) -> str:
    """A namespace name that nobody else uses: not this process, not another one."""
    return owned_name(PREFIX, f"{next(_numbers)}-{role}")


def run_inside(place: Namespace, function: Callable[[], _Result]) -> _Result:
    """Call `function` in a new thread that lives in the namespace; return what it returns, raise what it raises."""
    answer: list[_Result] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            with place.entered():
                answer.append(function())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return answer[0]


class PacketSocket:
    """A raw AF_PACKET socket on one interface: whole frames out, whole frames in (VLAN tags put back)."""

    def __init__(
        self, interface: str, *, bypass: bool = True, buffer: int = 4 << 20, protocol: int = ETH_P_ALL
    ) -> None:
        """Open it in the calling thread's namespace. `bypass` sends past the queueing discipline (and clsact)."""
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, int(bypass))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer)
        self.socket.bind((interface, ETH_P_ALL))

    def send(self, *frames: bytes) -> None:
        for frame in frames:
            self.socket.send(frame)

    def receive(self, count: int, timeout: float = 2.0) -> list[bytes]:
        """The next frames, at most `count` of them, or what came within `timeout` seconds."""
        frames: list[bytes] = []
        end = time.monotonic() + timeout
        while len(frames) < count and (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, ancillary, _, _ = self.socket.recvmsg(65536 + 18, 256)
            except TimeoutError:
                break
            frames.append(_with_vlan_tag(data, ancillary))
        return frames

    def drain(self, quiet: float = 0.05) -> list[bytes]:
        """Everything that comes until nothing came for `quiet` seconds."""
        frames: list[bytes] = []
        while batch := self.receive(1, quiet):
            frames += batch
        return frames

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> PacketSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _with_vlan_tag(frame: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """The frame as it was on the wire: the kernel moves the outer tag into PACKET_AUXDATA."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = _AUXDATA.unpack(data)
            if status & TP_STATUS_VLAN_VALID:
                kept = tpid if status & TP_STATUS_VLAN_TPID_VALID else ETH_P_8021Q
                return frame[:12] + struct.pack("!HH", kept, tci) + frame[12:]
    return frame


@dataclass(frozen=True)
class Host(Namespace):
    """A namespace with one interface that matters, and the addresses on it."""

    name: str
    interface: str = "eth0"
    ipv4: str = ""
    ipv6: str = ""
    ethernet: str = ""

    def packet_socket(self, interface: str | None = None, *, bypass: bool = True) -> PacketSocket:
        """A raw socket on `interface` (the host's own by default), opened inside the namespace."""
        with self.entered():
            return PacketSocket(interface or self.interface, bypass=bypass)

    def open_socket(self, *arguments: int) -> socket.socket:
        """An ordinary socket that lives in the namespace."""
        with self.entered():
            return socket.socket(*arguments)

    def offloads(self, on: bool, interface: str | None = None) -> None:
        """Switch what a sending host leaves to its card: checksums, segmentation (TSO, GSO), scatter-gather."""
        with self.entered():
            features = read_features(interface or self.interface)
            wanted = [
                name
                for name, feature in features.items()
                if feature.changeable and any(part in name for part in OFFLOADS_OF_SENDERS)
            ]
            set_features(interface or self.interface, dict.fromkeys(wanted, on))

    def statistics(self, interface: str | None = None) -> dict[str, int]:
        """The kernel's counters of an interface: rx_packets, tx_packets, rx_bytes, rx_dropped…"""
        with self.netlink() as route:
            link = route.link("get", ifname=interface or self.interface)[0]
            return dict(link.get_attr("IFLA_STATS64"))


class Topology:
    """The network drawn above: `outside`, `box` and `inside`. A context manager.

    `ipv6` gives every interface IPv6 (link-local addresses and router solicitations included);
    `offloads=False` makes the two hosts send finished frames of at most one MTU; `ports` are the names of the box's
    interfaces.
    """

    def __init__(
        self, *, ipv6: bool = False, offloads: bool = True, ports: tuple[str, str] = ("outside", "inside")
    ) -> None:
        self._owned = ExitStack()
        remove_leftovers(PREFIX)
        self.outside = Host(fresh_name("outside"), "eth0", "10.0.0.1", "fd00::1", "02:00:00:00:00:01")
        self.inside = Host(fresh_name("inside"), "eth0", "10.0.0.2", "fd00::2", "02:00:00:00:00:02")
        self.box = Host(fresh_name("box"), ports[0])
        self._ports = ports
        try:
            self._build(ipv6, offloads)
        except BaseException:
            self.close()
            raise

    def _build(self, ipv6: bool, offloads: bool) -> None:
        hosts = (self.outside, self.inside)
        for place in (*hosts, self.box):
            self._owned.enter_context(Namespace.create(place.name))
            for scope in ("all", "default"):
                place.sysctl(f"ipv6/conf/{scope}/disable_ipv6", int(not ipv6))
        for host, port in zip(hosts, self._ports, strict=True):
            host.add_veth(host.interface, self.box, port, address=host.ethernet)
        for host, other in (hosts, hosts[::-1]):
            host.add_address(host.interface, f"{host.ipv4}/24")
            host.add_neighbour(host.interface, other.ipv4, other.ethernet)
            if ipv6:
                host.add_address(host.interface, f"{host.ipv6}/64")
                host.add_neighbour(host.interface, other.ipv6, other.ethernet)
            if not offloads:
                host.offloads(False)

    @contextmanager
    def bridge(self) -> Iterator[None]:
        """Join the box's two interfaces by a Linux bridge for the length of a `with` block."""
        self.box.add_bridge("bridge", self._ports)
        try:
            yield
        finally:
            self.box.delete_link("bridge")

    def close(self) -> None:
        """Remove the namespaces. Harmless when done twice."""
        self._owned.close()

    def __enter__(self) -> Topology:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def topology() -> Iterator[Topology]:
    """A fresh network for one test."""
    with Topology() as net:
        yield net


@pytest.fixture
def namespace() -> Iterator[Host]:
    """One empty namespace for one test."""
    with Namespace.create(fresh_name("one")) as made:
        yield Host(made.name)
