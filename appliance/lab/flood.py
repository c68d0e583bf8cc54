"""The lab's attackers: prepared frames at a bounded rate, each round from other forged sources.

A forged source moves from round to round without any checksum being computed again. An Internet checksum is a sum of
16-bit words modulo 65535, so what is added to the upper half of the address and taken from the lower half leaves the
checksums of IP, TCP and UDP right:

    source    [ upper + step ][ lower - step ]        (both modulo 65535; RFC 1624)
"""

from __future__ import annotations

import bisect
import json
import struct
import sys
import time
from collections.abc import Sequence

from appliance.lab.attacks import RESERVED_FIRST_BYTES, AttackFrame, attack_frames
from appliance.lab.names import ATTACK_NAMES
from appliance.lab.worker import Counts, Lab
from hooks.af_packet.generator import FrameGenerator

FRAMES_EACH = 48
BATCH = 64
PAUSE_SECONDS = 0.002
LONGEST_LAG = 0.05  # seconds of frames to catch up on at most; older ones are never sent
STEP = 40503  # the sources of one round lie this far from those of the last

_WORDS = struct.Struct("!HH")


class Flood:
    """Sends the frames round and round, and knows exactly how many of each attack have left. For one thread."""

    def __init__(self, interface: str, frames: Sequence[AttackFrame]) -> None:
        self.sent = 0
        self._generator = FrameGenerator(interface, [frame.data for frame in frames])
        self._count = len(frames)
        self._sources = [
            (begin + frame.source_offset, *_WORDS.unpack_from(frame.data, frame.source_offset))
            for begin, frame in zip(self._generator.offsets, frames, strict=True)
        ]
        self._numbers = {
            name: [number for number, frame in enumerate(frames) if frame.attack == name] for name in ATTACK_NAMES
        }

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

    def _move_sources(self, rounds: int) -> None:
        step = rounds * STEP % 65535
        buffer = self._generator.buffer
        for offset, upper, lower in self._sources:
            moved = (upper + step) % 65535
            if moved >> 8 not in RESERVED_FIRST_BYTES:
                _WORDS.pack_into(buffer, offset, moved, (lower - step) % 65535)


def main() -> None:
    settings = json.loads(sys.argv[1])
    rate = float(settings["rate"])
    flood = Flood(settings["interface"], attack_frames(FRAMES_EACH))
    lab = Lab(flood.counts)
    if lab.ready():
        start = time.monotonic()
        while not lab.is_over(PAUSE_SECONDS):
            lag = (time.monotonic() - start) * rate - flood.sent
            if lag > LONGEST_LAG * rate:
                start += lag / rate - LONGEST_LAG
                lag = LONGEST_LAG * rate
            while lag >= 1 and (left := flood.send(int(lag))):
                lag -= left
        lab.report()


if __name__ == "__main__":
    main()
