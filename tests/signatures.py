"""What the shipped rules are for: `tests/cases/signatures/*.yaml`, attacks that fall and honest frames that look alike.

A file is a list, an entry for each rule:

    - rule: amplification-ntp
      falls: [IP()/UDP(sport=123)/Raw(…)]      each is dropped, and the rule counts it, however it is wrapped
      floods: [IP()/UDP(sport=53)/Raw(…)]      each passes as often as the rule's burst, and then falls
      stays: [IP()/UDP(sport=123)/Raw(…)]      each passes every rule
      only: [plain]                            the wrappings that make sense, if not all (WRAPPINGS)

Frames are scapy expressions that begin with IP. `IP()` and `IPv6()` come from a public address to one inside, and Raw
takes text, bytes, or the hex digits of `hex()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scapy.all
from scapy.packet import Packet

from tests.yaml_files import load

FOLDER = Path(__file__).parent / "cases" / "signatures"
KEYS = {"rule", "falls", "floods", "stays", "only"}
OUTSIDE, INSIDE = "16.0.0.1", "198.19.0.10"
OUTSIDE6, INSIDE6 = "2001:470::1", "2001:db8:2::1"


@dataclass(frozen=True)
class Signature:
    """What one rule is for."""

    rule: str
    falls: tuple[Packet, ...]
    floods: tuple[Packet, ...]
    stays: tuple[Packet, ...]
    wrappings: tuple[str, ...]


def load_signatures() -> Iterator[Signature]:
    """Every entry of every file."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for entry in load(path):
            yield _signature(entry)


def _signature(entry: Mapping[str, Any]) -> Signature:
    assert entry.keys() <= KEYS, entry.keys() - KEYS
    falls, floods, stays = (tuple(map(packet, entry.get(key, ()))) for key in ("falls", "floods", "stays"))
    return Signature(entry["rule"], falls, floods, stays, tuple(entry.get("only", WRAPPINGS)))


def packet(expression: str) -> Packet:
    """An expression's packet, from IP on."""
    names = {
        **vars(scapy.all),
        "IP": lambda **given: scapy.all.IP(**{"src": OUTSIDE, "dst": INSIDE, **given}),
        "IPv6": lambda **given: scapy.all.IPv6(**{"src": OUTSIDE6, "dst": INSIDE6, **given}),
        "hex": bytes.fromhex,
    }
    made = eval(expression, names)
    assert isinstance(made, Packet)
    return made


def _in_ipv6(given: Packet, *chain: Packet) -> Packet | None:
    """The same above IP, in IPv6 behind a chain of headers; None if it can't be there."""
    if not isinstance(given, scapy.all.IP) or not isinstance(given.payload, scapy.all.TCP | scapy.all.UDP):
        return None
    made = scapy.all.IPv6(src=OUTSIDE6, dst=INSIDE6, hlim=given.ttl)
    for header in chain:
        made /= header.copy()
    return made / given.payload.copy()


OPTIONS, DESTINATION = scapy.all.IPv6ExtHdrHopByHop(), scapy.all.IPv6ExtHdrDestOpt()
TAG, OUTER_TAG = scapy.all.Dot1Q(vlan=5), scapy.all.Dot1AD(vlan=7)
WRAPPINGS: Mapping[str, Callable[[Packet], Packet | None]] = {
    "plain": lambda given: given,
    "VLAN": lambda given: TAG / given,
    "QinQ": lambda given: OUTER_TAG / TAG / given,
    "IPv6": _in_ipv6,
    "IPv6 in a VLAN": lambda given: (made := _in_ipv6(given)) and TAG / made,
    "IPv6 with options": lambda given: _in_ipv6(given, OPTIONS, DESTINATION),
    "IPv6 with a fragment header that makes no fragment": lambda given: _in_ipv6(
        given, scapy.all.IPv6ExtHdrFragment(id=7)
    ),
}


def wrapped(given: Packet, wrappings: tuple[str, ...] = tuple(WRAPPINGS)) -> Iterator[tuple[str, bytes]]:
    """The frame, each time in something else."""
    for name in wrappings:
        if (made := WRAPPINGS[name](given)) is not None:
            yield name, frame(made)


def frame(given: Packet) -> bytes:
    return bytes(scapy.all.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / given)
