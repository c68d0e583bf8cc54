"""Programs in the kernel, which nothing is attached to yet.

Whoever makes bytecode stands above; here it is bytes, in which the maps' descriptors are already written.
Sources: bpf(2), include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import errno

from hooks.errors import HookError, PrivilegeError
from hooks.kernel.maps import NO_PRIVILEGE
from hooks.kernel.objects import Descriptor
from hooks.linux import bpf as kernel

LOG_BYTES = 1 << 18
SLOT_BYTES = 8
LAST_LINES = 4  # of the verifier's log, which a message shows
NAME_BYTES = 15


class KernelRefused(HookError):
    """The kernel's verifier refuses a program that ours has proved. `log` is all that it said."""

    def __init__(self, name: str, reason: str, log: str) -> None:
        said = [line for line in log.splitlines() if line and not line.startswith("processed ")][-LAST_LINES:]
        super().__init__(f"the kernel refuses the program: {reason}", where=name, hint="; ".join(said) or None)
        self.log = log


class KernelProgram(Descriptor):
    """A program of any type, which nothing is attached to yet. Any thread; a context manager."""

    def __init__(self, code: bytes, *, name: str, license: str, program_type: int, attach_type: int) -> None:
        """`name` is the object's; the kernel shows 15 characters of it. Raises KernelRefused, PrivilegeError."""
        slots, license_ = (ctypes.create_string_buffer(data, len(data) + 1) for data in (code, license.encode()))
        log = ctypes.create_string_buffer(LOG_BYTES)
        shown = "".join(character if character.isascii() and character.isalnum() else "_" for character in name)
        attributes = kernel.bpf_prog_load(
            prog_type=program_type,
            insn_cnt=len(code) // SLOT_BYTES,
            insns=ctypes.addressof(slots),
            license=ctypes.addressof(license_),
            log_level=1,
            log_size=LOG_BYTES,
            log_buf=ctypes.addressof(log),
            prog_name=shown[:NAME_BYTES].encode(),
            expected_attach_type=attach_type,
        )
        try:
            super().__init__(kernel.bpf(kernel.BPF_PROG_LOAD, attributes))
        except OSError as error:
            said = log.value.decode(errors="replace")
            if error.errno == errno.EPERM and not said:
                raise PrivilegeError("bpf(BPF_PROG_LOAD): not permitted", where=name, hint=NO_PRIVILEGE) from None
            raise KernelRefused(name, error.strerror or "", said) from None


class KernelXdp(KernelProgram):
    """A program of the type XDP, of our own. Any thread; a context manager."""

    def __init__(self, code: bytes) -> None:
        """Raises KernelRefused, PrivilegeError."""
        super().__init__(
            code, name="tidegate", license="Dual BSD/GPL", program_type=kernel.BPF_PROG_TYPE_XDP, attach_type=0
        )
