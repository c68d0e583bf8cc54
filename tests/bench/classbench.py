"""ClassBench's filter sets as rule sets, and their traces as captures (Taylor and Turner, INFOCOM 2005).

    filter   @SOURCE/LENGTH  DESTINATION/LENGTH  LOW : HIGH  LOW : HIGH  PROTOCOL/MASK  FLAGS/MASK
    trace    SOURCE DESTINATION SPORT DPORT PROTOCOL …

Ports of filters whose protocol has none, and the flags, are let be. Odd filters drop, even ones pass.
"""

from __future__ import annotations

import ipaddress
import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.bench.traffic import PCAP_NANOSECONDS

FOLDER = Path(os.environ.get("CLASSBENCH", "../shared/classbench"))
_PORTS = {6: "tcp", 17: "udp"}
_AH = 51
_ANY_PORT = (0, 0xFFFF)
_ETHERNET = bytes.fromhex("020000000002020000000001") + b"\x08\x00"
_SMALLEST = 60  # bytes of a frame
_SEED = 5


@dataclass(frozen=True, slots=True)
class Filter:
    """Ranges, both ends in them; `protocol` is None for any."""

    source: ipaddress.IPv4Network
    destination: ipaddress.IPv4Network
    sport: tuple[int, int]
    dport: tuple[int, int]
    protocol: int | None

    def rule(self, number: int) -> str:
        """One line of `rules:`."""
        match = {f"ip.{side}": net for side, net in (("src", self.source), ("dst", self.destination)) if net.prefixlen}
        if self.protocol is not None:
            match["ip.proto"] = self.protocol
            ports = {"sport": self.sport, "dport": self.dport} if self.protocol in _PORTS else {}
            for name, (low, high) in ports.items():
                if (low, high) != _ANY_PORT:
                    match[f"{_PORTS[self.protocol]}.{name}"] = low if low == high else f'"{low}-{high}"'
        conditions = ", ".join(f"{field}: {value}" for field, value in match.items())
        return f"  - {{id: r{number}, match: {{{conditions}}}, action: {'drop' if number % 2 else 'pass'}}}\n"

    def bounds(self) -> list[int]:
        """Least and greatest of each of the five numbers."""
        protocol = (0, 255) if self.protocol is None else (self.protocol, self.protocol)
        ports = (self.sport, self.dport) if self.protocol in _PORTS else (_ANY_PORT, _ANY_PORT)
        nets = ((int(net.network_address), int(net.broadcast_address)) for net in (self.source, self.destination))
        return [bound for pair in (*nets, *ports, protocol) for bound in pair]


def filters(name: str) -> list[Filter]:
    return [_filter(line) for line in (FOLDER / name).read_text().splitlines()]


def _filter(line: str) -> Filter:
    source, destination, *rest = line.lstrip("@").split()
    numbers = [word for word in rest if word != ":"]
    protocol, mask = (int(word, 16) for word in numbers[4].split("/"))
    nets = [ipaddress.IPv4Network(text, strict=False) for text in (source, destination)]
    sport, dport = (int(numbers[0]), int(numbers[1])), (int(numbers[2]), int(numbers[3]))
    return Filter(nets[0], nets[1], sport, dport, protocol if mask else None)


def write_rules(path: Path, rules: list[Filter]) -> Path:
    path.write_text("rules:\n" + "".join(each.rule(number) for number, each in enumerate(rules)))
    return path


def headers(name: str) -> np.ndarray:
    """The trace: a row for each header, with addresses, ports and protocol; without those of an authentication header,
    of which a trace doesn't say what it protects: such a frame would be malformed."""
    rows = [[int(word) for word in line.split()[:5]] for line in (FOLDER / f"{name}_trace").read_text().splitlines()]
    found = np.array(rows, np.int64)
    return found[found[:, 4] != _AH]


def walk(rules: list[Filter], trace: np.ndarray) -> dict[str, int]:
    """How many headers each rule decides, by the first that matches."""
    bounds = np.array([each.bounds() for each in rules], np.int64)
    decided: dict[str, int] = {}
    for header in trace:
        holds = ((bounds[:, 0::2] <= header) & (header <= bounds[:, 1::2])).all(axis=1)
        first = int(holds.argmax())
        who = f"r{first}" if holds[first] else "policy"
        decided[who] = decided.get(who, 0) + 1
    return decided


def write_capture(path: Path, trace: np.ndarray, times: int, *, in_random_order: bool = False) -> Path:
    """The trace as frames, over and over; or as many of each, in an order that nothing foretells."""
    records = [struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame for frame in _frames(trace)]
    order = list(range(len(records))) * times
    if in_random_order:
        random.Random(_SEED).shuffle(order)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", PCAP_NANOSECONDS, 2, 4, 0, 0, 0xFFFF, 1))
        file.write(b"".join(map(records.__getitem__, order)))
    return path


def _frames(trace: np.ndarray) -> Iterator[bytes]:
    for source, destination, sport, dport, protocol in trace.tolist():
        if protocol == 6:
            upper = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, 2, 0xFFFF, 0, 0)
        elif protocol == 17:
            upper = struct.pack("!HHHH", sport, dport, 8, 0)
        else:
            upper = bytes(20)
        length = 20 + len(upper)
        ip = struct.pack("!BBHHHBBHII", 0x45, 0, length, 0, 0, 64, protocol, 0, source, destination)
        yield (_ETHERNET + ip + upper).ljust(_SMALLEST, b"\0")
