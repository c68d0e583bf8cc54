"""Frames out of the kernel itself: an XDP program is run on frames that are really sent (BPF_F_TEST_XDP_LIVE_FRAMES).

    bpf(BPF_PROG_TEST_RUN, repeat = 10,000)
      │  64 frames at a time, in the memory of a page pool; each begins as the frame that is given, or as the
      │  program left it, and the program makes of it what it likes
      └─ XDP_REDIRECT ──> the driver of an interface ──> what is at its far end

Through a veth they come out at the far end as a card's would, in NAPI, up to 64 at once; a socket's frames come one by
one, and cost more than all that a filter does. The far end has a NAPI while it runs a program of XDP, or while
`rx-gro` is on.

A program that is to be run more than once is entered into the kernel's dispatcher of XDP programs, and taken out again,
for which each call waits until RCU says so: 30 ms, and a second on a busy machine. One that is attached somewhere is in
it already. So it is attached to the loopback interface meanwhile; with that, a call for 64 frames takes 40 µs.

Sources: Documentation/bpf/bpf_prog_run.rst; net/bpf/test_run.c (Linux 5.18 and later), kernel/bpf/dispatcher.c.
"""

from __future__ import annotations

import ctypes
import errno

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hooks.errors import HookError
from hooks.kernel.programs import KernelXdp
from hooks.linux import bpf as kernel

LOOPBACK, DETACH = 1, -1  # an interface's index, and IFLA_XDP_FD's "nothing"


class LiveFrames:
    """Runs `program` on live frames, in a network namespace whose loopback interface nobody uses. A context manager.

    For one thread, which is in the namespace of the interfaces that the program names.
    """

    def __init__(self, program: KernelXdp, size: int) -> None:
        """Each frame has `size` bytes, all zero, when the program first sees it. Raises HookError."""
        self._frame = ctypes.create_string_buffer(size)
        self._attributes = kernel.bpf_prog_test_run(
            prog_fd=program.descriptor,
            data_size_in=size,
            data_in=ctypes.addressof(self._frame),
            flags=kernel.BPF_F_TEST_XDP_LIVE_FRAMES,
        )
        self._attach(program.descriptor)

    def send(self, count: int) -> None:
        """Run the program `count` times, with the GIL released, and return when the kernel has sent what it made: fewer
        frames, if it has no room for more. The program knows how many.

        Raises HookError where the kernel is older than that (5.18), or doesn't let this process do it.
        """
        self._attributes.repeat = count
        try:
            kernel.bpf(kernel.BPF_PROG_TEST_RUN, self._attributes)
        except OSError as error:
            if error.errno == errno.ENOSPC:  # seen once in hours, on a machine with much to do
                return
            raise HookError(f"bpf(BPF_PROG_TEST_RUN) with live frames: {error.strerror}") from None

    def close(self) -> None:
        self._attach(DETACH)

    def __enter__(self) -> LiveFrames:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _attach(descriptor: int) -> None:
        try:
            with IPRoute() as route:
                route.link("set", index=LOOPBACK, xdp_fd=descriptor)
        except NetlinkError as error:
            raise HookError(f"no program of XDP can be attached: {error}", where="lo") from None
