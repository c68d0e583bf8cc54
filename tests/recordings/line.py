"""The network of the recordings: a host inside, a line, a router, and a host far out.

       inside                         router                            far
    +------------------+   line    +---------------------------+   +------------------+
    | eth0             |===========| line                 wan  |===| eth0             |
    | 198.18.1.2       |  recorded | 198.18.1.1     198.19.1.1 |   | 198.19.1.2       |
    | 2001:db8:1::2    |   here    | ::1                   ::1 |   | 2001:db8:2::2    |
    +------------------+           +---------------------------+   +------------------+

The far host lives behind the router so that there is somebody to answer traceroute, and a link of a smaller MTU for
path MTU discovery. Hosts finish their frames themselves: no checksum and no segmentation is left to a card.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hooks.interfaces.netns import Namespace, remove_leftovers
from hooks.linux.if_packet import ETH_P_ALL
from tests.captures import TimedFrame, pcap
from tests.netns import Host, fresh_name

PREFIX = "tgt"
NETWORKS = ("198.18.1.0/24", "2001:db8:1::/64")  # what is inside
INSIDE, FAR = ("198.18.1.2", "2001:db8:1::2"), ("198.19.1.2", "2001:db8:2::2")  # of both families
ROUTER, UPLINK = ("198.18.1.1", "2001:db8:1::1"), ("198.19.1.1", "2001:db8:2::1")
LENGTHS = (24, 64)
START_SECONDS, END_SECONDS, QUIET_SECONDS = 5.0, 2.0, 0.15
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35


class Line:
    """The network drawn above. A context manager; whatever was started in it ends with it. For one thread."""

    def __init__(self) -> None:
        self._owned = ExitStack()
        remove_leftovers(PREFIX)
        self.inside, self.router, self.far = (Host(fresh_name(role)) for role in ("inside", "router", "far"))

    def __enter__(self) -> Line:
        with ExitStack() as undo:
            for place in (self.inside, self.router, self.far):
                undo.enter_context(Namespace.create(place.name))
                place.set_up("lo")
                for scope in ("all", "default"):
                    place.sysctl(f"ipv6/conf/{scope}/accept_dad", 0)  # it would hold the first packets up for seconds
            self._build()
            self._owned = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._owned.close()

    def _build(self) -> None:
        self.inside.add_veth("eth0", self.router, "line")
        self.far.add_veth("eth0", self.router, "wan")
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.router.sysctl(setting, 1)
        for host, own, port, gateway in ((self.inside, INSIDE, "line", ROUTER), (self.far, FAR, "wan", UPLINK)):
            for address, way, length in zip(own, gateway, LENGTHS, strict=True):
                host.add_address("eth0", f"{address}/{length}")
                self.router.add_address(port, f"{way}/{length}")
                host.run(["ip", "route", "add", "default", "via", way])
            host.offloads(False)
            self.router.offloads(False, port)

    def serve(self, place: Host, *command: str, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start a server, and wait until it listens on that TCP port, or for half a second."""
        process = place.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._owned.callback(_end, process)
        if port is None:
            time.sleep(QUIET_SECONDS * 3)
        elif not _listens(place, port):
            raise AssertionError(f"{command[0]} doesn't listen on {port}: it ended with {process.poll()}")
        return process

    def socket(self, place: Host, address: str, port: int, kind: int = socket.SOCK_DGRAM) -> socket.socket:
        """A socket of the host's, bound, closed when the line is."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = self._owned.enter_context(place.open_socket(family, kind))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.settimeout(START_SECONDS)
        return made

    @contextmanager
    def recorded(self, path: Path) -> Iterator[None]:
        """Write what crosses the line during the block, both ways, into a pcap."""
        with self.router.entered():
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            tap.bind(("line", ETH_P_ALL))
        frames: list[TimedFrame] = []
        done = threading.Event()
        reader = threading.Thread(target=_read, args=(tap, frames, done))
        reader.start()
        try:
            yield
        finally:
            done.set()
            reader.join()
            tap.close()
        path.write_bytes(pcap(frames))


def _read(tap: socket.socket, frames: list[TimedFrame], done: threading.Event) -> None:
    """Everything that comes until it is done and the line is quiet."""
    tap.settimeout(QUIET_SECONDS)
    while True:
        try:
            data, ancillary, _, _ = tap.recvmsg(1 << 16, 64)
        except TimeoutError:
            if done.is_set():
                return
            continue
        seconds, nanoseconds = (int.from_bytes(ancillary[0][2][at : at + 8], "little") for at in (0, 8))
        frames.append((seconds * 10**9 + nanoseconds, data))


def _listens(place: Host, port: int) -> bool:
    """Whether somebody takes connections on the host's own port, soon. Nothing of this crosses the line."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        for family, own in ((socket.AF_INET, 0), (socket.AF_INET6, 1)):
            address = (INSIDE if "inside" in place.name else FAR)[own]
            with place.open_socket(family, socket.SOCK_STREAM) as probe, suppress(OSError):
                probe.settimeout(1)
                probe.connect((address, port))
                return True
        time.sleep(0.05)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
