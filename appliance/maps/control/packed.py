"""Many keys that share one value, packed: one behind the other in one piece of memory, without an object for each.

So large sets are kept: a blocklist of a million prefixes is 8 MB of keys, and a map.

    update_packed    all in                         replace_packed   what isn't in `keys` out, what is new in
    delete_packed    all out                                         what is in both stays as it is

`replace_packed` compares natively: a second map gets the new keys; each key of this map that is in there leaves it, and
is in both; one that isn't there is to go; what is left in the second map is new. Keys that come are put in before
others go, if there is room for both, so that a set which is only written differently never has a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.maps.control.batches import erase, read_keys, sift, write
from appliance.maps.control.guarded import GuardedMap
from appliance.maps.errors import OperationRefused
from appliance.maps.kind import Flag

CHUNK_KEYS = 1024  # that one native call works on: what others have to wait for


@dataclass(frozen=True, slots=True)
class Replaced:
    """What `replace_packed` changed, in entries."""

    added: int
    removed: int


class PackedMap(GuardedMap):
    """Packed keys in and out of maps that have an entry for each key. Any thread, while programs work on the map."""

    def __len__(self) -> int:
        raise NotImplementedError

    def update_packed(self, keys: bytes, value: bytes) -> int:
        """Put the one value under every key; their number. Raises as `update` does; what was put in before stays."""
        self._check_writable()
        self._check(value, self.spec.value_size, "value")
        repeated = value * self._copies
        for chunk in self._cut(keys):
            count = len(chunk) // self.spec.key_size
            sizes = self.spec.key_size, 0
            self._succeed(self._run(write, ("update",), chunk, repeated, count, *sizes, Flag.ANY))
        return len(keys) // self.spec.key_size

    def delete_packed(self, keys: bytes) -> int:
        """Delete every key; how many were there."""
        self._check_writable()
        gone = 0
        for chunk in self._cut(keys):
            key_size = self.spec.key_size
            number, status = self._run(erase, ("delete",), chunk, len(chunk) // key_size, key_size)
            self._succeed(status)
            gone += number
        return gone

    def replace_packed(self, keys: bytes, value: bytes) -> Replaced:
        """Make `keys` all that is in the map; what stays is not touched. Raises MapFull if they don't fit; the map is
        then what it was."""
        self._check_readable()
        self._check_writable()
        with type(self).open(self.spec, self.processors) as wanted:
            wanted.update_packed(keys, value)
            gone, there = self._sift(wanted)
            new = wanted.packed_keys()
        key_size = self.spec.key_size
        fits = there + len(new) // key_size <= self.spec.max_entries
        if fits:
            self.update_packed(new, value)
        self.delete_packed(gone)
        if not fits:
            self.update_packed(new, value)
        return Replaced(len(new) // key_size, len(gone) // key_size)

    def packed_keys(self) -> bytes:
        """Every key. What comes or goes meanwhile may be among them or not."""
        self._check_readable()
        found, position = bytearray(), 0
        sizes = self.spec.key_size, self.spec.value_size * self._copies
        while position >= 0:
            keys, position = self._run(read_keys, ("next",), position, CHUNK_KEYS, *sizes)
            found += keys
        return bytes(found)

    def _sift(self, other: PackedMap) -> tuple[bytes, int]:
        """The keys that the other map hasn't, and how many there are in all; those in both leave the other one."""
        kept, before, position = bytearray(), len(other), 0
        sizes = self.spec.key_size, self.spec.value_size * self._copies
        while position >= 0:
            found, position = self._run(sift, ("next", "delete"), other.address, position, CHUNK_KEYS, *sizes)
            kept += found
        both = before - len(other)
        return bytes(kept), both + len(kept) // self.spec.key_size

    def _cut(self, keys: bytes) -> list[bytes]:
        size = self.spec.key_size
        if not size or len(keys) % size:
            raise OperationRefused(
                self.spec.name, f"{len(keys)} bytes of packed keys where keys of {size} are declared"
            )
        return [keys[at : at + size * CHUNK_KEYS] for at in range(0, len(keys), size * CHUNK_KEYS)]
