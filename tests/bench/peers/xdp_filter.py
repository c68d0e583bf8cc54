"""xdp-filter of xdp-tools on an interface, with a list of addresses.

It takes single addresses, as many as its map was made for (10,000), and its command one at each call. So the command
loads the program and enters one address; the others go into the same pinned map with the value that it gave to the
first.

Sources: xdp-filter(8); common_kern_user.h of xdp-tools (the map is a per-CPU hash of address -> flags and hits).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.appliance.rules.kernel import possible_processors
from tests.bench.peers.tasks import Prefix
from tests.bench.peers.unavailable import Unavailable, last_line, need
from tests.bpffs import BPFFS, mount_bpffs
from tests.kernel_bpf import _bpf
from tests.netns import Host

PINS = BPFFS / "xdp-filter"
MOST = 10_000  # max_entries of its map of addresses
BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_OBJ_GET = 1, 2, 7


@contextmanager
def attached(box: Host, interface: str, addresses: Sequence[Prefix]) -> Iterator[None]:
    """Drop what comes in from these addresses. Raises Unavailable."""
    need("xdp-filter", "xdp-tools")
    if len(addresses) > MOST or any(address.length != 32 for address in addresses):
        raise Unavailable(f"takes single addresses only, {MOST:,} of them at most")
    mount_bpffs()
    if PINS.exists():
        raise Unavailable(f"runs here already: {PINS} is there")
    _run(box, "load", "--policy", "allow", "--features", "ipv4", "--mode", "native", interface)
    try:
        _run(box, "ip", "--mode", "src", str(addresses[0]))
        _enter(PINS / "filter_ipv4", addresses)
        yield
    finally:
        _run(box, "unload", interface)


def _run(box: Host, *words: str) -> None:
    done = box.run(["xdp-filter", *words], check=False)
    if done.returncode:
        raise Unavailable(f"`xdp-filter {words[0]}`: {last_line(done.stderr or done.stdout)}")


def _enter(path: Path, addresses: Sequence[Prefix]) -> None:
    """Give all of them the value of the first."""
    name, key = ctypes.create_string_buffer(str(path).encode()), ctypes.create_string_buffer(4)
    value = ctypes.create_string_buffer(8 * possible_processors())
    descriptor, _ = _bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))
    try:
        element = struct.pack("=IxxxxQQQ", descriptor, ctypes.addressof(key), ctypes.addressof(value), 0)
        for command, some in ((BPF_MAP_LOOKUP_ELEM, addresses[:1]), (BPF_MAP_UPDATE_ELEM, addresses[1:])):
            for address in some:
                key.raw = address.address.to_bytes(4, "big")
                _bpf(command, element)
    finally:
        os.close(descriptor)
