"""Machine code on its way to the process that runs it: one file in memory, sealed, so that what is checked is linked.

    memory file   head (JSON) │ payload        head: {"memory": {symbol: address}}

What the payload is, whoever checks it knows: `Check` makes images of it, or refuses.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

MOST_BYTES = 512 << 20
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_LENGTH = 8  # bytes that say how long the head is, little-endian


@dataclass(frozen=True, slots=True)
class LinkImage:
    """Relocatable machine code (an ELF object), the functions that others call, and the memory and functions of other
    images that it names."""

    data: bytes = field(repr=False)
    exports: tuple[str, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkOrder:
    """What is to be linked, and where the memory is that it names."""

    payload: bytes = field(repr=False)
    memory: Mapping[str, int]


# From what its director says first and once, to what it checks payloads by: see Zygote.
CheckBy: TypeAlias = Callable[[bytes], "Check"]
# Images of a payload, of which the first may name exports of the others. Raises an error of ours if they may not run.
Check: TypeAlias = Callable[[bytes], Sequence[LinkImage]]


def write_order(order: LinkOrder) -> int:
    """A sealed file of it; the descriptor is the caller's."""
    head = json.dumps({"memory": dict(order.memory)}).encode()
    descriptor = os.memfd_create("code", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(len(head).to_bytes(_LENGTH, "little") + head)
        file.write(order.payload)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def read_order(descriptor: int) -> LinkOrder:
    """What is in a sealed file; closes the descriptor. Raises ValueError for anything else."""
    try:
        size = os.fstat(descriptor).st_size
        if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS != _SEALS or not _LENGTH < size <= MOST_BYTES:
            raise ValueError(f"a file of {size} bytes that can still be written, or none of ours")
        with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as data:
            begin = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
            head: dict[str, Any] = json.loads(data[_LENGTH:begin])
            return LinkOrder(data[begin:], head["memory"])
    finally:
        os.close(descriptor)
