"""A map of the kernel by its descriptor: bytes in, bytes out, and the kernel's errno if it refuses.

A value of a per-CPU map is, in each call, one for every processor that the machine may have, each at a multiple of 8.
Sources: bpf(2), kernel/bpf/syscall.c.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from pathlib import Path

from hooks.errors import HookError, PrivilegeError
from hooks.kernel.objects import Descriptor
from hooks.linux import bpf as kernel

NO_PRIVILEGE = "it takes root, or CAP_BPF and CAP_NET_ADMIN"
POSSIBLE = Path("/sys/devices/system/cpu/possible")


def possible_processors() -> int:
    """How many processors this machine may have, those that are off included: the kernel's per-CPU values."""
    last = POSSIBLE.read_text().strip().replace("-", ",").split(",")[-1]
    return int(last) + 1


class KernelMap(Descriptor):
    """One map; `value_size` is what bpf(2) copies, of all processors together. Any thread; a context manager."""

    def __init__(
        self, type_: int, key_size: int, value_size: int, max_entries: int, flags: int = 0, *, copied: int | None = None
    ) -> None:
        """`copied` is how many bytes a call copies, if they are not `value_size`. Raises HookError, PrivilegeError."""
        self._key_size, self.copied = key_size, value_size if copied is None else copied
        attributes = kernel.bpf_map_create(type_, key_size, value_size, max_entries, flags)
        try:
            super().__init__(kernel.bpf(kernel.BPF_MAP_CREATE, attributes))
        except OSError as error:
            kind, hint = (PrivilegeError, NO_PRIVILEGE) if error.errno == errno.EPERM else (HookError, None)
            raise kind(f"bpf(BPF_MAP_CREATE): {error.strerror}", hint=hint) from None

    def lookup(self, key: bytes, flags: int = 0) -> bytes | None:
        """The value, None if there is none. Raises OSError."""
        return self._value(kernel.BPF_MAP_LOOKUP_ELEM, key, flags)

    def take(self, key: bytes) -> bytes | None:
        """The value, which is deleted. Raises OSError."""
        return self._value(kernel.BPF_MAP_LOOKUP_AND_DELETE_ELEM, key, 0)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Raises OSError."""
        self._element(kernel.BPF_MAP_UPDATE_ELEM, key, ctypes.create_string_buffer(value, max(1, len(value))), flags)

    def delete(self, key: bytes) -> bool:
        """Whether there was one. Raises OSError."""
        return self._found(kernel.BPF_MAP_DELETE_ELEM, key, None, 0)

    def keys(self) -> Iterator[bytes]:
        """Every key; a walk begins again if the key that it stands at is deleted. Raises OSError."""
        key = ctypes.create_string_buffer(max(1, self._key_size))
        before: bytes | None = None
        while self._found(kernel.BPF_MAP_GET_NEXT_KEY, before, key, 0):
            before = key.raw[: self._key_size]
            yield before

    def freeze(self) -> None:
        """Nothing but programs may write it any more. Raises OSError."""
        kernel.bpf(kernel.BPF_MAP_FREEZE, kernel.bpf_map_elem(self.descriptor))

    def _value(self, command: int, key: bytes, flags: int) -> bytes | None:
        value = ctypes.create_string_buffer(max(1, self.copied))
        return value.raw[: self.copied] if self._found(command, key, value, flags) else None

    def _found(self, command: int, key: bytes | None, value: ctypes.Array[ctypes.c_char] | None, flags: int) -> bool:
        try:
            self._element(command, key, value, flags)
        except FileNotFoundError:
            return False
        return True

    def _element(self, command: int, key: bytes | None, value: ctypes.Array[ctypes.c_char] | None, flags: int) -> None:
        held = ctypes.create_string_buffer(key, len(key)) if key else None
        kernel.bpf(
            command,
            kernel.bpf_map_elem(
                self.descriptor,
                0,
                ctypes.addressof(held) if held is not None else 0,
                ctypes.addressof(value) if value is not None else 0,
                flags,
            ),
        )
