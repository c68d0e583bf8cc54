"""Programs of tcx at an interface: they see a frame before every filter of clsact does, and may end its way there.

      wire ──> [ AF_PACKET taps ] ──> tcx ──TCX_NEXT──> clsact: drop ──x  host stack
                                       └────TCX_PASS────────────────────> host stack

What a program answers can't be known from outside; that there is one can, from Linux 6.6 on, by bpf(BPF_PROG_QUERY),
which asks for CAP_NET_ADMIN. Where bpf() is forbidden (many containers) or the kernel has no tcx, nothing is seen.

Sources: union bpf_attr of include/uapi/linux/bpf.h, tcx_prog_query of kernel/bpf/tcx.c, sch_handle_ingress of
net/core/dev.c.
"""

from __future__ import annotations

import ctypes
import errno

from hooks.linux import bpf as kernel
from hooks.linux.bpf import bpf_prog_query

MOST = 64  # programs at one place: BPF_MPROG_MAX
_DIRECTIONS = {"ingress": kernel.BPF_TCX_INGRESS, "egress": kernel.BPF_TCX_EGRESS}
_UNSEEN = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL}  # forbidden, or unknown to the kernel


def tcx_programs(index: int) -> str | None:
    """The programs of tcx at the interface of that index, in words; None if there are none, or none to be seen.

    Raises OSError if there is no such interface.
    """
    found = [
        f"{'programs' if len(ids) > 1 else 'a program'} of tcx (id {', '.join(map(str, ids))}) at its {name}"
        for name, place in _DIRECTIONS.items()
        if (ids := _ids(index, place))
    ]
    return " and ".join(found) or None


def _ids(index: int, place: int) -> list[int]:
    """What stands there, in the order in which frames meet it."""
    ids = (ctypes.c_uint32 * MOST)()
    asked = bpf_prog_query(target_ifindex=index, attach_type=place, prog_ids=ctypes.addressof(ids), prog_cnt=MOST)
    try:
        kernel.bpf(kernel.BPF_PROG_QUERY, asked)
    except OSError as error:
        if error.errno in _UNSEEN:
            return []
        raise
    return list(ids[: asked.prog_cnt])
