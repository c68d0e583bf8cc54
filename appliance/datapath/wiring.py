"""Which worker serves which interfaces through which sockets: the plan, with what is open already kept.

    passages ──> plan ──> by worker: one Wiring for each interface, the same ones at the same places
                   ^          │
                   └──────────┘ what it wires already, as far as the interface is the same and the slots are long enough

A socket that stays open keeps its rings and what stands in them, and its place among the workers' flows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from appliance.datapath.layout import INWARD, OUTWARD
from appliance.datapath.worker import Wiring
from hooks.af_packet.fanout import Fanout
from hooks.af_packet.geometry import Geometry
from hooks.af_packet.socket import PacketSocket
from hooks.interfaces.netdev import Interface, demand_ethernet
from hooks.opener.opener import LOCAL, Opener


@dataclass(frozen=True, slots=True)
class Passage:
    """Two interfaces that frames cross between, or one that is only listened to (`inside` is None)."""

    outside: Interface
    inside: Interface | None = None

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        return (self.outside,) if self.inside is None else (self.outside, self.inside)


@dataclass(frozen=True, slots=True)
class Plan:
    """Each worker's wirings. The sockets that were opened for them are muted, and in `opened`, by interface index."""

    wirings: Sequence[list[Wiring]]
    opened: dict[int, list[PacketSocket]] = field(default_factory=dict)

    @property
    def all_opened(self) -> list[PacketSocket]:
        return [each for sockets in self.opened.values() for each in sockets]

    def close(self) -> None:
        """Close what was opened for it."""
        for each in self.all_opened:
            each.close()


def plan(passages: Sequence[Passage], wired: Sequence[Sequence[Wiring]], key: int, opener: Opener = LOCAL) -> Plan:
    """Sockets for every passage and every worker; what each of them has `wired` is kept where it can serve.
    `key` is that of the box, by which its workers share flows (fanout); `opener` opens what is to be opened.

    Raises HookError; then nothing stays open that was not before.
    """
    made = Plan([[] for _ in wired])
    there = [{wiring.ifindex: wiring.socket for wiring in own} for own in wired]
    try:
        for passage in passages:
            first = len(made.wirings[0])
            for side, interface in enumerate(passage.interfaces):
                inline = passage.inside is not None
                peer = first + 1 - side if inline else None
                sockets = _sockets(made, interface, [known.get(interface.index) for known in there], key, opener)
                for own, opened in zip(made.wirings, sockets, strict=True):
                    own.append(Wiring(opened, interface.index, interface.mtu, (INWARD, OUTWARD)[side], peer, inline))
    except BaseException:
        made.close()
        raise
    return made


def _sockets(
    made: Plan, interface: Interface, known: Sequence[PacketSocket | None], key: int, opener: Opener
) -> list[PacketSocket]:
    """Every worker's socket on one interface: those that are known, or others, among which the kernel deals out the
    flows if there are several."""
    demand_ethernet(interface)
    geometry = Geometry.for_mtu(interface.mtu)
    kept = [each for each in known if each is not None and each.geometry.slot_size >= geometry.slot_size]
    if len(kept) == len(known):
        return kept
    sockets = made.opened.setdefault(interface.index, [])
    fanout = Fanout(key) if len(known) > 1 else None
    for _ in known:
        sockets.append(opener.open_socket(interface.name, geometry, fanout=fanout, muted=True))
        if fanout is not None:
            fanout = Fanout(key, sockets[-1].fanout_group())
    return sockets
