"""Links that attach programs to a control group.

A link is a descriptor: when the last process that has it ends, however that comes, the program is detached.
Sources: bpf(2), include/uapi/linux/bpf.h, kernel/bpf/cgroup.c.
"""

from __future__ import annotations

import errno

from hooks.errors import HookError, PrivilegeError
from hooks.kernel.maps import NO_PRIVILEGE
from hooks.kernel.objects import Descriptor
from hooks.kernel.programs import KernelProgram
from hooks.linux import bpf as kernel

_OTHERS = "Linux 5.7 with CONFIG_CGROUP_BPF is needed, and no program above that forbids others"


class KernelLink(Descriptor):
    """A program attached to a control group, as long as somebody has this descriptor. Any thread; a context manager."""

    def __init__(self, program: KernelProgram, group: int, attach_type: int) -> None:
        """`group` is a descriptor of the group's directory. Several programs of a hook are asked in the order in which
        they were attached. Raises HookError, PrivilegeError."""
        attributes = kernel.bpf_link_create(prog_fd=program.descriptor, target_fd=group, attach_type=attach_type)
        try:
            super().__init__(kernel.bpf(kernel.BPF_LINK_CREATE, attributes))
        except OSError as error:
            kind, hint = (PrivilegeError, NO_PRIVILEGE) if error.errno == errno.EPERM else (HookError, _OTHERS)
            raise kind(f"bpf(BPF_LINK_CREATE): {error.strerror}", hint=hint) from None
