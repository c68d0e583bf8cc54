"""What every map in plain Python can do, and what it answers if its type cannot."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from appliance.ebpf.spec import LOCK_SIZE, MapSpec
from appliance.maps.kind import Flag


class ModelMap:
    """A map that holds its values as bytearrays; `lookup` gives the live one, which the program may write to.
    For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        self.spec = spec
        self._values: dict[bytes, bytearray] = {}

    def lookup(self, key: bytes) -> bytearray | None:
        """The value itself, or None."""
        return self._values.get(key)

    def visit(self, key: bytes) -> bytearray | None:
        """The same, and no use to an LRU hash."""
        return self.lookup(key)

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> int:
        """0 or -errno."""
        asked = flags
        if self.spec.lock is not None:
            flags &= ~Flag.LOCK
        if flags > Flag.EXIST:
            return -errno.EINVAL
        known = self._values.get(key)
        if known is None:
            return -errno.ENOENT if flags == Flag.EXIST else self._insert(key, value)
        if flags == Flag.NOEXIST:
            return -errno.EEXIST
        self._put(key, value, asked)
        return 0

    def _put(self, key: bytes, value: bytes, flags: int) -> None:
        """The entry that is there gets the value, in the same bytearray if its type does so in native code."""
        known = self._values[key]
        known[:] = self._with_lock(value, known)

    def _with_lock(self, value: bytes, known: bytes | bytearray) -> bytes:
        """The value, with the lock of the one that is known."""
        at = self.spec.lock
        return value if at is None else value[:at] + known[at : at + LOCK_SIZE] + value[at + LOCK_SIZE :]

    def delete(self, key: bytes) -> int:
        """0 or -errno."""
        if self._values.pop(key, None) is None:
            return -errno.ENOENT
        self._deleted(key)
        return 0

    def lookup_and_delete(self, key: bytes) -> bytearray | None:
        """The value, whose entry goes, or None. Only hashes have it."""
        return None

    def inner_map(self, key: bytes) -> ModelMap | None:
        """The map under the key of a map of maps, or None."""
        return None

    def push(self, value: bytes, flags: int = Flag.ANY) -> int:
        """0 or -errno: maps with keys refuse it."""
        return -errno.EINVAL

    def pop(self) -> bytes | None:
        """The next value, which goes, or None."""
        return None

    def peek(self) -> bytes | None:
        """What `pop` would give, or None."""
        return None

    def may_hold(self, value: bytes) -> bool:
        """Whether a bloom filter was given the value."""
        return False

    def output(self, data: bytes, flags: int) -> int:
        """0 or -errno: ring buffers alone take records."""
        return -errno.EINVAL

    def reserve(self, size: int, flags: int) -> bytearray | None:
        """A record to be filled and committed, or None. Only ring buffers have it."""
        return None

    def commit(self, record: bytearray, flags: int, *, discard: bool) -> None:
        """The record is done, to be seen or never."""

    def query(self, what: int) -> int:
        """A number about a ring buffer."""
        return 0

    def sample(self, index: int, data: bytes) -> int:
        """0 or -errno: perf event arrays alone take samples."""
        return -errno.EINVAL

    def program(self, index: int) -> str | None:
        """The name of the program at an index. Arrays of programs alone have any."""
        return None

    def keys(self) -> Iterator[bytes]:
        """Every key, in no particular order."""
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def _is_full(self) -> bool:
        return len(self._values) >= self.spec.max_entries

    def _insert(self, key: bytes, value: bytes) -> int:
        """Put in what is not there, or refuse: 0 or -errno."""
        raise NotImplementedError

    def _deleted(self, key: bytes) -> None:
        """The entry is gone."""
