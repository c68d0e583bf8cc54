"""A flood by a packet socket: prepared frames, many per system call, each round from other forged sources.

A forged source moves from round to round without any checksum being computed again. An Internet checksum is a sum of
16-bit words modulo 65535, so what is added to the upper half of the address and taken from the lower half leaves the
checksums of IP, TCP and UDP right:

    source    [ upper + step ][ lower - step ]        (both modulo 65535; RFC 1624)
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Sequence

from appliance.lab.attacks.frames import AttackFrame
from appliance.lab.attacks.kinds import RESERVED_FIRST_BYTES
from appliance.lab.attacks.schedule import Schedule
from appliance.lab.worker import Counts
from hooks.af_packet.generator import FrameGenerator

BATCH = 64
LONGEST_LAG = 0.05  # seconds
STEP = 40503  # the sources of one round lie this far from those of the last

_WORDS = struct.Struct("!HH")


class SocketFlood:
    """Sends the frames round and round, and knows exactly how many of each attack have left. For one thread."""

    PAUSE_SECONDS = 0.001

    def __init__(self, interface: str, frames: Sequence[AttackFrame]) -> None:
        self.sent = 0
        self._schedule = Schedule(LONGEST_LAG)
        self._generator = FrameGenerator(interface, [frame.data for frame in frames])
        self._count = len(frames)
        self._sources = [
            (begin + frame.source, *_WORDS.unpack_from(frame.data, frame.source))
            for begin, frame in zip(self._generator.offsets, frames, strict=True)
        ]
        self._numbers: dict[str, list[int]] = {}
        for number, frame in enumerate(frames):
            self._numbers.setdefault(frame.attack, []).append(number)

    def set_rate(self, rate: float) -> None:
        """Send so many frames a second from now on."""
        self._schedule.set_rate(rate)

    def catch_up(self) -> None:
        """Send what is due."""
        due = self._schedule.take()
        while due > 0 and (left := self.send(due)):
            due -= left

    def send(self, count: int) -> int:
        """Send up to `count` frames, the next in order; return how many left."""
        first = self.sent % self._count
        sent = self._generator.send(first, min(count, BATCH, self._count - first))
        self.sent += sent
        if sent and self.sent % self._count == 0:
            self._move_sources(self.sent // self._count)
        return sent

    def counts(self) -> Counts:
        """How many frames of each attack have left."""
        rounds, rest = divmod(self.sent, self._count)
        return {
            name: [rounds * len(numbers) + bisect.bisect_left(numbers, rest)] for name, numbers in self._numbers.items()
        }

    def close(self) -> None:
        self._generator.close()

    def _move_sources(self, rounds: int) -> None:
        step = rounds * STEP % 65535
        buffer = self._generator.buffer
        for offset, upper, lower in self._sources:
            moved = (upper + step) % 65535
            if moved >> 8 not in RESERVED_FIRST_BYTES:
                _WORDS.pack_into(buffer, offset, moved, (lower - step) % 65535)
