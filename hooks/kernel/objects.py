"""What bpf(2) opens, each behind a descriptor that closes with its block; and the simplest of it, an array.

Sources: bpf(2), include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import ctypes
import os
from typing import Self

from hooks.errors import HookError
from hooks.linux import bpf as kernel


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
