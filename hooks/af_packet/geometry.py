"""The size of the two rings of a packet socket, and where each lies in their one mapping.

    address ─> ┌─────────────────────────────┬───────────────────┐
               │ receive: block, block, …    │ transmit: block, …│     a block is 64 KiB, or one slot if that is more
               └─────────────────────────────┴───────────────────┘

Source: Documentation/networking/packet_mmap.rst.
"""

from __future__ import annotations

from dataclasses import dataclass

from hooks.linux.if_packet import tpacket_req

BLOCK_SIZE = 1 << 16


@dataclass(frozen=True, slots=True)
class Geometry:
    """The size of the rings. `slot_size` is a power of two, in bytes; `headroom` is what a program may grow into."""

    slot_size: int = 2048
    receive_slots: int = 4096
    transmit_slots: int = 1024
    headroom: int = 192

    @classmethod
    def for_mtu(cls, mtu: int) -> Geometry:
        """Rings whose slots hold a whole frame of that MTU; fewer slots where they must be larger."""
        slot = 2048
        while slot < mtu + 512:
            slot *= 2
        scale = slot // 2048
        return cls(slot, max(256, 4096 // scale), max(128, 1024 // scale))

    @property
    def receive(self) -> tpacket_req:
        """What the kernel is asked for: whole blocks, so that there may be more slots than are wanted."""
        return self._request(self.receive_slots)

    @property
    def transmit(self) -> tpacket_req:
        """The same of the other ring."""
        return self._request(self.transmit_slots)

    @property
    def receive_bytes(self) -> int:
        """From the mapping's start to the transmit ring."""
        return _bytes_of(self.receive)

    @property
    def mapped_bytes(self) -> int:
        """Of both rings, which are mapped at once."""
        return self.receive_bytes + _bytes_of(self.transmit)

    def _request(self, slots: int) -> tpacket_req:
        block = max(BLOCK_SIZE, self.slot_size)
        blocks = -(-slots * self.slot_size // block)
        return tpacket_req(block, blocks, self.slot_size, blocks * block // self.slot_size)


def _bytes_of(ring: tpacket_req) -> int:
    return int(ring.tp_block_size * ring.tp_block_nr)
