"""A map and a program in the kernel, each behind a descriptor that closes with its block.

Whoever makes bytecode stands above; here it is bytes, in which the maps' descriptors are already written.
Sources: bpf(2), include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import os
from typing import Self

from hooks.errors import HookError
from hooks.linux import bpf as kernel

LOG_BYTES = 1 << 18
LICENSE = b"Dual BSD/GPL"
SLOT_BYTES = 8


class Descriptor:
    """What bpf(2) has opened. A context manager; closing twice is harmless. Any thread."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class KernelArray(Descriptor):
    """An array of `count` values of `size` bytes. Any thread."""

    def __init__(self, size: int, count: int) -> None:
        """Raises HookError where the kernel makes no maps for this process."""
        self._size = size
        attributes = kernel.bpf_map_create(kernel.BPF_MAP_TYPE_ARRAY, ctypes.sizeof(ctypes.c_uint32), size, count)
        try:
            super().__init__(kernel.bpf(kernel.BPF_MAP_CREATE, attributes))
        except OSError as error:
            raise HookError(f"bpf(BPF_MAP_CREATE): {error.strerror}") from None

    def __getitem__(self, index: int) -> bytes:
        value = ctypes.create_string_buffer(self._size)
        self._element(kernel.BPF_MAP_LOOKUP_ELEM, index, value)
        return value.raw

    def __setitem__(self, index: int, value: bytes) -> None:
        """`value` may be shorter than the array's; zeros follow then."""
        self._element(kernel.BPF_MAP_UPDATE_ELEM, index, ctypes.create_string_buffer(value, self._size))

    def _element(self, command: int, index: int, value: ctypes.Array[ctypes.c_char]) -> None:
        key = ctypes.c_uint32(index)
        attributes = kernel.bpf_map_elem(self.descriptor, 0, ctypes.addressof(key), ctypes.addressof(value))
        kernel.bpf(command, attributes)


class KernelXdp(Descriptor):
    """A program of the type XDP, which nothing is attached to. Any thread."""

    def __init__(self, code: bytes) -> None:
        """Raises HookError, with the last line of the verifier's log, if the kernel refuses it."""
        slots, license_ = (ctypes.create_string_buffer(data, len(data) + 1) for data in (code, LICENSE))
        log = ctypes.create_string_buffer(LOG_BYTES)
        attributes = kernel.bpf_prog_load(
            prog_type=kernel.BPF_PROG_TYPE_XDP,
            insn_cnt=len(code) // SLOT_BYTES,
            insns=ctypes.addressof(slots),
            license=ctypes.addressof(license_),
            log_level=1,
            log_size=LOG_BYTES,
            log_buf=ctypes.addressof(log),
        )
        try:
            super().__init__(kernel.bpf(kernel.BPF_PROG_LOAD, attributes))
        except OSError as error:
            said = [line for line in log.value.decode(errors="replace").splitlines() if line][-4:]
            raise HookError(f"bpf(BPF_PROG_LOAD): {error.strerror}", hint="\n".join(said) or None) from None
