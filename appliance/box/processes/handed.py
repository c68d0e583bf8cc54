"""What the datapath's process is handed for one generation, and how it finds out whether that may run.

    Handed ──to_bytes──> sealed file ──> images_of: Trust.check ──> images, or NotApproved

It has the public keys from its birth. That a process of the same box has checked already means nothing here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from appliance.box.approval.envelope import Approval
from appliance.box.approval.trust import Trust
from appliance.box.proving.built import Built
from appliance.box.proving.records import decode, encode
from appliance.box.proving.request import BuildRequest
from appliance.datapath.hosts.order import Check, LinkImage

_LENGTH = 8  # bytes that say how long the document is, little-endian


@dataclass(frozen=True, slots=True)
class Handed:
    """A build, what it is the answer to, and the approval; empty where nobody signed it."""

    request: BuildRequest
    built: Built
    approval: bytes

    def to_bytes(self) -> bytes:
        """One piece."""
        document, body = encode(self)
        return len(document).to_bytes(_LENGTH, "little") + document + body

    @classmethod
    def of_bytes(cls, data: bytes) -> Handed:
        """Raises Malformed."""
        end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
        return decode(cls, data[_LENGTH:end], data[end:])


def images_of(trust: Trust, now: Callable[[], float] = time.time) -> Check:
    """What a datapath's process asks for the images that it may link. It raises NotApproved and Malformed."""

    def check(payload: bytes) -> list[LinkImage]:
        handed = Handed.of_bytes(payload)
        approval = Approval.of_bytes(handed.approval) if handed.approval else None
        approved = trust.check(approval, handed.built, handed.request, now())
        return [LinkImage(each.data, each.exports, each.symbols) for each in approved.built.images]

    return check
