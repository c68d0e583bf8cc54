"""Attacks made here: captures of floods, from outside alone, as many would send them.

Every signature of tests/cases/signatures is one: its frames again and again, from thousands of sources. Beside them
stand floods that look like anybody's traffic. `attack_capture` makes one in memory; none is kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.captures import TimedFrame, pcap
from tests.signatures import frame, load_signatures, packet

FRAMES = 50_000
GAP_NS = 20_000  # fifty thousand frames a second
SOURCES = 4000
IPV4, IPV4_SOURCE, IPV6_SOURCE = b"\x08\x00", 26, 22
PORTS = 34  # of a frame with an IPv4 header of 20 bytes

Change = Callable[[bytearray, random.Random], None]


def _forged(data: bytearray, chance: random.Random) -> None:
    """Another source, one of four thousand."""
    number = chance.randrange(SOURCES)
    if data[12:14] == IPV4:
        data[IPV4_SOURCE : IPV4_SOURCE + 4] = ((16 << 24) + 0x01010101 * (number % 64) + number).to_bytes(4, "big")
    else:
        data[IPV6_SOURCE + 4 : IPV6_SOURCE + 8] = number.to_bytes(4, "big")


def _forged_with_port(data: bytearray, chance: random.Random) -> None:
    """Another source, and another port of it."""
    _forged(data, chance)
    data[PORTS : PORTS + 2] = chance.randrange(1024, 65536).to_bytes(2, "big")


FLOODS: Mapping[str, str] = {
    "SYN, forged": 'IP()/TCP(sport=1, dport=443, flags="S", options=[("MSS", 1460)])',
    "SYN with ECE and CWR, forged": 'IP()/TCP(sport=1, dport=443, flags="SEC", options=[("MSS", 1460)])',
    "ACK, forged": 'IP()/TCP(sport=1, dport=443, flags="A", seq=7, ack=9)',
    "PSH and ACK, forged": 'IP()/TCP(sport=1, dport=443, flags="PA", seq=7, ack=9)/Raw(bytes(500))',
    "RST, forged": 'IP()/TCP(sport=1, dport=443, flags="R", seq=7)',
    "FIN and ACK, forged": 'IP()/TCP(sport=1, dport=443, flags="FA", seq=7, ack=9)',
    "UDP without meaning, forged": "IP()/UDP(sport=1, dport=40000)/Raw(bytes(200))",
    "SYN-ACK, from many servers": 'IP()/TCP(sport=443, dport=40000, flags="SA", options=[("MSS", 1460)])',
}
LIMITS = {"udp-per-source", "ack-per-source"}  # of traffic that has no look: no signatures
BEYOND = {"UDP without meaning, forged"}  # what no rule can tell from good traffic


def attacks() -> Iterator[str]:
    """The names of all of them."""
    yield from (signature.rule for signature in load_signatures() if signature.rule not in LIMITS)
    yield from FLOODS


def attack_capture(name: str, path: Path, frames: int = FRAMES) -> None:
    """Write that attack, as a pcap."""
    if name in FLOODS:
        path.write_bytes(pcap(_repeated([frame(packet(FLOODS[name]))], frames, _forged_with_port)))
        return
    (signature,) = (each for each in load_signatures() if each.rule == name)
    kept = name == "bogons" or name.endswith("-per-source")  # they are for what comes from there
    whole = [frame(each) for each in signature.falls + signature.floods]
    path.write_bytes(pcap(_repeated(whole, frames, _as_it_is if kept else _forged)))


def _as_it_is(_data: bytearray, _chance: random.Random) -> None: ...


def _repeated(frames: Sequence[bytes], count: int, change: Change) -> Iterator[TimedFrame]:
    chance = random.Random(11)
    for number in range(count):
        data = bytearray(frames[number % len(frames)])
        change(data, chance)
        yield 10**18 + number * GAP_NS, bytes(data)
