"""Traffic of connections, for benchmarks: a thousand honest ones that go both ways, and strangers by the million."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from appliance.datapath.captures import Capture
from appliance.datapath.captures.capture import FRAME
from appliance.datapath.layout import INWARD, OUTWARD, ReplayFrame

HONEST = 1000
_ETHERNET = bytes.fromhex("020000000002 020000000001 0800")
_PAYLOAD = b"." * 100
_SOURCE_AT, _PORT_AT = len(_ETHERNET) + 12, len(_ETHERNET) + 20  # of an IPv4 packet without options
_RECORD = np.dtype([(name, {4: "<u4", 8: "<u8"}[ReplayFrame.__dict__[name].size]) for name, _ in ReplayFrame._fields_])


def _ipv4(protocol: int, source: bytes, destination: bytes, behind: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(behind), 0, 0, 64, protocol, 0, source, destination)
    return _ETHERNET + header + behind


def _addresses(number: int) -> tuple[bytes, bytes, int]:
    """A client outside, a server inside, the client's port."""
    return bytes([9, 9, number >> 8, number & 255]), bytes([203, 0, 112, number % 250 + 1]), 20000 + number


def tcp(number: int, way: int, sequence: int, acknowledgement: int, flags: int, payload: bytes = b"") -> bytes:
    """A segment of an honest connection."""
    client, server, port = _addresses(number)
    ends, ports = ((client, server), (port, 443)) if way == INWARD else ((server, client), (443, port))
    header = struct.pack("!HHIIBBHHH", *ports, sequence, acknowledgement, 0x50, flags, 8192, 0, 0)
    return _ipv4(6, *ends, header + payload)


def udp(number: int, way: int) -> bytes:
    """A datagram of an honest flow."""
    client, server, port = _addresses(number)
    ends, ports = ((client, server), (port, 3478)) if way == INWARD else ((server, client), (3478, port))
    return _ipv4(17, *ends, struct.pack("!HHHH", *ports, 8 + len(_PAYLOAD), 0) + _PAYLOAD)


def honest(rounds: int, first: int = 0) -> Iterator[tuple[int, bytes]]:
    """Frames with their way: every connection sends data and gets its acknowledgement in each round, every tenth one
    is of UDP. The inside speaks first, so that a box which doesn't learn from outside knows them all. `first` is the
    number of the first round: those before have been sent."""
    for turn in range(first, first + rounds):
        sent = 1000 + turn * len(_PAYLOAD)
        for number in range(HONEST):
            if number % 10 == 0:
                yield OUTWARD, udp(number, OUTWARD)
                yield INWARD, udp(number, INWARD)
            else:
                yield OUTWARD, tcp(number, OUTWARD, 500, sent, 0x10)
                yield INWARD, tcp(number, INWARD, sent, 500, 0x18, _PAYLOAD)


def capture(frames: Iterator[tuple[int, bytes]], name: str) -> Capture:
    """Frames, a microsecond apart from the first second on."""
    ways, data = zip(*frames, strict=True)
    found = Capture.of(data, name)
    table = _table(found)
    table["program"] = ways
    table["time_ns"] = 10**9 + 1000 * np.arange(len(data), dtype=np.uint64)
    return found


def _table(found: Capture) -> npt.NDArray[np.void]:
    assert _RECORD.itemsize == FRAME.size
    return np.frombuffer(found.table, dtype=_RECORD)


class Strangers:
    """Frames of as many kinds as floods have, each of an address and a port of its own. For one thread."""

    KINDS = (0x02, 0x12, 0x10, 0x04)  # of TCP: SYN, SYN-ACK, ACK, RST; every fifth frame is of UDP

    def __init__(self, count: int) -> None:
        self._chance = np.random.default_rng(1)
        frames = [udp(0, INWARD) if n % 5 == 4 else tcp(0, INWARD, n, n, self.KINDS[n % 5]) for n in range(count)]
        self.capture = capture(((INWARD, frame) for frame in frames), "strangers")
        self._table = _table(self.capture)
        self._bytes = np.frombuffer(self.capture._data, dtype=np.uint8)

    def change(self) -> Capture:
        """The same frames of other addresses and ports, later."""
        offsets = self._table["offset"].astype(np.int64)
        for at, size in ((_SOURCE_AT, 4), (_PORT_AT, 2)):
            drawn = self._chance.integers(0, 256, (len(offsets), size), dtype=np.uint8)
            for byte in range(size):
                self._bytes[offsets + at + byte] = drawn[:, byte]
        self._bytes[offsets + _SOURCE_AT] = 11 + self._bytes[offsets + _SOURCE_AT] % 80  # none that can't be
        self._table["time_ns"] += np.uint64(1000 * len(offsets))
        return self.capture


def write_rules_without(path: Path, default: Path, parts: frozenset[str]) -> Path:
    """The default rule set without some of its parts."""
    lines = default.read_text().splitlines()
    kept = [line for line in lines if not any(line.strip() == f"- parts/{part}.yaml" for part in parts)]
    assert len(kept) == len(lines) - len(parts)
    path.write_text("\n".join(kept).replace("- parts/", f"- {default.parent}/parts/") + "\n")
    return path
