"""Frames out of the kernel itself: BPF_PROG_TEST_RUN with live frames, sent by a host's interface.

A program of XDP gets the same frame again and again, writes the addresses and ports of the next flow into it and
redirects it to the interface. Such frames come out at the far end of a veth as a card's would: up to 64 at once, in
NAPI, with the room in front that XDP wants; a socket's would come one by one, and cost more than all that is measured.

The far end takes them while its NAPI runs, which a veth does for GRO (`rx-gro`). GRO joins none of these frames.

Source: Documentation/bpf/bpf_prog_run.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hooks.interfaces.ethtool import set_features
from tests.bench.kernel_object import KernelObject, compile_object
from tests.bench.peers.tasks import FLOWS, Flow, frame
from tests.netns import Topology

SOURCE = Path(__file__).with_name("sender.bpf.c")


class Generator:
    """What sends by the outside host's interface. For one thread, which must be in the host's namespace."""

    def __init__(self, kernel: KernelObject) -> None:
        self._kernel = kernel
        self._frame = frame(Flow(0, 0, 0, 0))

    def aim(self, flows: Sequence[Flow]) -> None:
        """Take these flows from now on, one after the other and then from the first on."""
        entries = [flows[number % len(flows)] for number in range(FLOWS)]
        keys = b"".join(struct.pack("=I", number) for number in range(FLOWS))
        self._kernel.fill("flows", keys, b"".join(entry.wire for entry in entries), FLOWS)

    def send(self, count: int) -> float:
        """Send so many frames, and wait until the kernel has handled them; the mean nanoseconds for one."""
        return self._kernel.send("sender", self._frame, count)


@contextmanager
def generator(net: Topology, folder: Path) -> Iterator[Generator]:
    """Of frames from the outside host to the box."""
    with net.box.entered():
        set_features("outside", {"rx-gro": True})
    with net.outside.netlink() as route:
        (target,) = route.link_lookup(ifname=net.outside.interface)
    path = folder / "sender.bpf.o"
    compile_object(SOURCE, path, f"-DTARGET={target}", f"-DFLOWS={FLOWS}")
    with KernelObject(path) as kernel:
        yield Generator(kernel)
