"""Machine code on its way to the process that runs it: one file in memory, sealed, so that what is checked is linked.

memory file   document (JSON) │ image │ image │ …        document: {"images": [{name, size, exports, symbols}], …}
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_BYTES = 256 << 20
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_LENGTH = 8  # bytes that say how long the document is, little-endian


@dataclass(frozen=True, slots=True)
class LinkImage:
    """Relocatable machine code: see appliance.box.proving.built.Image."""

    name: str
    data: bytes = field(repr=False)
    exports: tuple[str, ...]
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LinkOrder:
    """What is to be linked: the images, of which the first may name exports of the others; where the memory is that
    they name; and the approval that goes with them, whose form the host does not know."""

    images: tuple[LinkImage, ...]
    memory: Mapping[str, int]
    approval: bytes = b""


def write_order(order: LinkOrder) -> int:
    """A sealed file of it; the descriptor is the caller's."""
    heads = [
        {"name": each.name, "size": len(each.data), "exports": each.exports, "symbols": each.symbols}
        for each in order.images
    ]
    document = json.dumps({"images": heads, "memory": dict(order.memory), "approval": len(order.approval)}).encode()
    descriptor = os.memfd_create("code", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(len(document).to_bytes(_LENGTH, "little") + document + order.approval)
        file.writelines(each.data for each in order.images)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def read_order(descriptor: int) -> LinkOrder:
    """What is in a sealed file; closes the descriptor. Raises ValueError for anything else."""
    try:
        size = os.fstat(descriptor).st_size
        if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALS != _SEALS or not _LENGTH < size <= MOST_BYTES:
            raise ValueError(f"a file of {size} bytes that can still be written, or none of ours")
        with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as data:
            return _read(data[:])
    finally:
        os.close(descriptor)


def _read(data: bytes) -> LinkOrder:
    begin = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    document: dict[str, Any] = json.loads(data[_LENGTH:begin])
    sizes = [document["approval"], *(head["size"] for head in document["images"])]
    if min(sizes) < 0 or begin + sum(sizes) != len(data):
        raise ValueError("images that do not fill the file")
    parts = list(_cut(data, begin, sizes))
    images = tuple(
        LinkImage(head["name"], part, tuple(head["exports"]), tuple(head["symbols"]))
        for head, part in zip(document["images"], parts[1:], strict=True)
    )
    return LinkOrder(images, document["memory"], parts[0])


def _cut(data: bytes, begin: int, sizes: Sequence[int]) -> Sequence[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[begin : begin + size])
        begin += size
    return parts
