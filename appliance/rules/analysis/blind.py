"""Rules that ask for what a frame is wrapped in by its number, where the parser goes on to what is inside.

    Ethernet ── IPv4, protocol 51 ── AH ── TCP                     ip.proto is TCP's
    Ethernet ── IPv4 ── UDP 4789 ── VXLAN ── Ethernet ── IPv4 …    udp.dport is that of the innermost datagram, if any

What is left for such a rule is what could not be opened: a fragment behind the first, or what lies deeper than is
looked. That is hardly what its author meant, so it is told, with the field that sees the wrapping.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from appliance.rules.analysis.findings import Finding, FindingKind
from appliance.rules.conditions import Condition, InRanges
from appliance.rules.headers import AH
from appliance.rules.model import Rule, RuleSet
from appliance.rules.tunnels import IP_PROTOCOLS, UDP_PORTS, Tunnel

MOST_NAMED = 4  # numbers side by side, which somebody named each: ESP and AH are
_PORTS = ("udp.dport", "udp.port")


@dataclass(frozen=True, slots=True)
class Opened:
    """Why a field of a frame doesn't have that number, and which condition has."""

    why: str
    instead: str


def find_blind(rules: RuleSet) -> tuple[Finding, ...]:
    """Every rule that asks for a number which the parser leaves behind."""
    opened = _opened(rules)
    return tuple(
        Finding(FindingKind.BLIND, rule, (), f"{name} is hardly ever {number}: {found.why}; ask for {found.instead}")
        for rule in rules.rules
        for name, number, found in _asked(rule, opened)
    )


def _opened(rules: RuleSet) -> Mapping[tuple[str, int], Opened]:
    """By matcher and number."""
    found = {
        ("ip.proto", AH.number): Opened(
            "an authentication header is read, and ip.proto is what it protects", "`ah.spi: {gt: 0}`"
        )
    }
    if rules.tunnels is None:
        return found
    for kind in Tunnel:
        if kind not in rules.tunnels.kinds:
            continue
        why = f"`tunnels` opens {kind.value}, and it is that of the innermost packet"
        for number in IP_PROTOCOLS.get(kind, ()):
            found["ip.proto", number] = Opened(why, f"`outer.ip.proto: {number}`")
        if kind in UDP_PORTS:
            number = UDP_PORTS[kind]
            found |= {(name, number): Opened(why, f"`outer.{name}: {number}`") for name in _PORTS}
    return found


def _asked(rule: Rule, opened: Mapping[tuple[str, int], Opened]) -> Iterator[tuple[str, int, Opened]]:
    """Each such number that the rule names; a wide range means more than that. Fragments aren't opened."""
    if any(map(_asks_for_fragments, rule.conditions)):
        return
    for condition in rule.conditions:
        if isinstance(condition, InRanges):
            named = (range(low, high + 1) for low, high in condition.ranges if high - low < MOST_NAMED)
            for number in chain.from_iterable(named):
                found = opened.get((condition.matcher.name, number))
                if found is not None:
                    yield condition.matcher.name, number, found


def _asks_for_fragments(condition: Condition) -> bool:
    return isinstance(condition, InRanges) and condition.matcher.name in ("ip.fragment", "ip.frag_offset")
