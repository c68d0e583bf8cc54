"""Linux's own maps, through bpf(2): what ours are held to. Needs root.

Sources: `union bpf_attr` of include/uapi/linux/bpf.h, kernel/bpf/syscall.c.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

from appliance.ebpf.platform import LINUX
from appliance.ebpf.spec import MapSpec
from tests.kernel_bpf import _bpf

MAP_CREATE, LOOKUP, UPDATE, DELETE, NEXT_KEY, LOOKUP_AND_DELETE = 0, 1, 2, 3, 4, 21
NUMBERS = {type_: number for number, type_ in LINUX.map_types.items()}


class KernelMap:
    """One map of the kernel's, with the answers that native code gives: 0 or -errno. A context manager."""

    def __init__(self, spec: MapSpec) -> None:
        self.spec = spec
        sizes = spec.key_size, spec.value_size, spec.max_entries, spec.flags
        self._descriptor, _ = _bpf(MAP_CREATE, struct.pack("=IIIII", NUMBERS[spec.type], *sizes))

    def lookup(self, key: bytes) -> bytes | None:
        return self._value(LOOKUP, key)

    def lookup_and_delete(self, key: bytes) -> bytes | None:
        return self._value(LOOKUP_AND_DELETE, key)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> int:
        return self._status(UPDATE, key, value, flags)

    def delete(self, key: bytes) -> int:
        return self._status(DELETE, key, b"", 0)

    def push(self, value: bytes, flags: int = 0) -> int:
        return self.update(b"", value, flags)

    def pop(self) -> bytes | None:
        return self._value(LOOKUP_AND_DELETE, b"")

    def peek(self) -> bytes | None:
        return self._value(LOOKUP, b"")

    def keys(self) -> Iterator[bytes]:
        """Every key, while nobody changes the map."""
        after = b""
        while True:
            key = ctypes.create_string_buffer(self.spec.key_size)
            if self._call(NEXT_KEY, after, key, 0) != 0:
                return
            after = key.raw
            yield after

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> KernelMap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _value(self, command: int, key: bytes) -> bytes | None:
        value = ctypes.create_string_buffer(self.spec.value_size)
        return value.raw if self._call(command, key, value, 0) == 0 else None

    def _status(self, command: int, key: bytes, value: bytes, flags: int) -> int:
        return self._call(command, key, ctypes.create_string_buffer(value, max(1, len(value))), flags)

    def _call(self, command: int, key: bytes, value: ctypes.Array[ctypes.c_char], flags: int) -> int:
        memory = ctypes.create_string_buffer(key, max(1, len(key)))
        place = ctypes.addressof(memory) if key else 0
        target = 0 if command == DELETE else ctypes.addressof(value)
        try:
            _bpf(command, struct.pack("=IIQQQ", self._descriptor, 0, place, target, flags))
        except OSError as error:
            assert error.errno is not None
            return -error.errno
        return 0
