"""Snapshots of what the datapath counted: immutable, summed over the workers, taken without stopping anybody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from appliance.datapath.layout import VERDICTS, PortCounters
from hooks.af_packet.socket import RingStatistics
from hooks.contracts.contract import Verdict

# Why a frame that had been judged did not leave: label value → field of PortCounters.
TRANSMIT_ERRORS = {
    "too_long": "transmit_too_long",
    "ring_full": "transmit_ring_full",
    "refused": "transmit_failed",
    "redirect_unknown": "redirect_unknown",
}

CAPTURE_DROPS = ("ring_full", "truncated", "rings_closed")


@dataclass(frozen=True, slots=True)
class Count:
    """Frames and their bytes, VLAN tags included, without the frame check sequence."""

    packets: int = 0
    bytes: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.packets + other.packets, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class InterfaceStatistics:
    """One interface: what came in by verdict, what went out, and what was lost on either way.

    `capture_dropped`: "ring_full" found no free slot, "truncated" was longer than a slot and not to be had whole,
    "rings_closed" stood in a ring that was closed when the box was wired anew.
    """

    received: Count = Count()
    verdicts: Mapping[Verdict, Count] = field(default_factory=lambda: dict.fromkeys(VERDICTS, Count()))
    transmitted: Count = Count()
    capture_dropped: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(CAPTURE_DROPS, 0))
    transmit_errors: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(TRANSMIT_ERRORS, 0))

    def __add__(self, other: InterfaceStatistics) -> InterfaceStatistics:
        return InterfaceStatistics(
            self.received + other.received,
            {verdict: self.verdicts[verdict] + other.verdicts[verdict] for verdict in VERDICTS},
            self.transmitted + other.transmitted,
            {reason: count + other.capture_dropped[reason] for reason, count in self.capture_dropped.items()},
            {reason: count + other.transmit_errors[reason] for reason, count in self.transmit_errors.items()},
        )

    @classmethod
    def left_behind(cls, frames: int) -> InterfaceStatistics:
        """Of frames that stood in a ring that was closed."""
        return cls(capture_dropped=_dropped(rings_closed=frames))


def of_port(counters: PortCounters, ring: RingStatistics) -> InterfaceStatistics:
    """The snapshot of one port of one worker."""
    return InterfaceStatistics(
        Count(counters.received_packets, counters.received_bytes),
        {
            verdict: Count(counters.verdict_packets[index], counters.verdict_bytes[index])
            for index, verdict in enumerate(VERDICTS)
        },
        Count(counters.transmitted_packets, counters.transmitted_bytes),
        _dropped(ring_full=ring.drops, truncated=counters.truncated),
        {reason: getattr(counters, name) for reason, name in TRANSMIT_ERRORS.items()},
    )


def _dropped(**counts: int) -> dict[str, int]:
    return dict.fromkeys(CAPTURE_DROPS, 0) | counts


def total(parts: Iterable[InterfaceStatistics]) -> InterfaceStatistics:
    """The sum over workers, or over the sockets that an interface has had."""
    return sum(parts, InterfaceStatistics())
