"""Numbered frames through a box, in several flows, at a moderate rate: is each there, once, and in its flow's order?

    with numbered_frames(net, per_second=10_000) as stream:      from outside to inside
        …                                                        whatever may disturb it
    stream.sent, stream.received, stream.disordered

Frame number n is of flow n % FLOWS, which is a UDP source port; its number stands in the first 8 bytes behind the
headers. The sender is a thread that gives the kernel many prepared frames at a time.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hooks.af_packet.generator import FrameGenerator
from hooks.linux.if_packet import (
    ETH_P_ALL,
    PACKET_IGNORE_OUTGOING,
    PACKET_STATISTICS,
    SOL_PACKET,
)
from tests.netns import SO_RCVBUFFORCE, Host, Topology

FLOWS = 8
EACH = 16 * FLOWS  # frames that are prepared
TICK_SECONDS = 0.002
LONGEST_RUN = 64
QUIET_SECONDS = 0.5  # after the last frame: what comes later is lost
_NUMBER = struct.Struct("!Q")
_HEADERS = 14 + 20 + 8
_PROTOCOL = 14 + 9  # the offset of it in IPv4's header
_ETHERNET = bytes.fromhex("020000000002020000000001" + "0800")


@dataclass
class Stream:
    """What was sent and what came. Whole when the block has ended."""

    sent: int = 0
    numbers: list[int] = field(default_factory=list)  # of the frames received, as they came
    missed: int = 0  # frames that the receiver itself was too slow for

    @property
    def received(self) -> int:
        return len(self.numbers)

    @property
    def disordered(self) -> list[tuple[int, int]]:
        """Frames that did not come after the one before them in their flow, the same frame twice among them: the number
        before, and theirs."""
        flows: dict[int, list[int]] = {}
        for number in self.numbers:
            flows.setdefault(number % FLOWS, []).append(number)
        return [pair for flow in flows.values() for pair in itertools.pairwise(flow) if pair[0] >= pair[1]]


@contextmanager
def numbered_frames(net: Topology, *, per_second: int) -> Iterator[Stream]:
    """Frames cross from before the block begins until it ends, and are received until none comes any more."""
    stream, over, quiet = Stream(), threading.Event(), threading.Event()
    with net.inside.open_socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as receiver:
        receiver.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        receiver.bind((net.inside.interface, ETH_P_ALL))
        threads = [
            threading.Thread(target=_send, args=(net.outside, per_second, stream, over)),
            threading.Thread(target=_receive, args=(receiver, stream, quiet)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield stream
        finally:
            over.set()
            threads[0].join()
            quiet.set()
            threads[1].join()
            _, stream.missed = struct.unpack("II", receiver.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))


def _send(place: Host, per_second: int, stream: Stream, over: threading.Event) -> None:
    began = time.monotonic()
    with place.entered(), FrameGenerator(place.interface, [_frame(5000 + n % FLOWS) for n in range(EACH)]) as generator:
        while not over.wait(TICK_SECONDS):
            wanted = int((time.monotonic() - began) * per_second)
            while stream.sent < wanted:
                first = stream.sent % EACH
                count = min(wanted - stream.sent, EACH - first, LONGEST_RUN)
                for slot in range(count):
                    place_of_number = generator.offsets[first + slot] + _HEADERS
                    _NUMBER.pack_into(generator.buffer, place_of_number, stream.sent + slot)
                stream.sent += generator.send(first, count)


def _receive(receiver: socket.socket, stream: Stream, quiet: threading.Event) -> None:
    """Until nothing has come for QUIET_SECONDS after `quiet` is set."""
    receiver.settimeout(QUIET_SECONDS)
    while True:
        try:
            frame = receiver.recv(_HEADERS + _NUMBER.size)
        except TimeoutError:
            if quiet.is_set():
                return
            continue
        if frame.startswith(_ETHERNET) and frame[_PROTOCOL] == socket.IPPROTO_UDP:
            stream.numbers.append(_NUMBER.unpack_from(frame, _HEADERS)[0])


def _frame(source_port: int) -> bytes:
    payload = bytes(_NUMBER.size + 10)
    ip = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    )
    return _ETHERNET + ip + struct.pack("!HHHH", source_port, 10, 8 + len(payload), 0) + payload
