"""The same maps in plain Python: the interpreter's maps, and the oracle that the native ones are tested against.

Operations answer as the native ones do, 0 or -errno, and an LRU hash gives up the very same entries. One processor.
"""

from __future__ import annotations

import errno
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps.kind import Flag
from appliance.maps.model.hash import ModelHash, ModelLruHash
from appliance.maps.model.map import ModelMap
from appliance.maps.model.nested import ModelArrayOfMaps, ModelHashOfMaps, ModelMapOfMaps
from appliance.maps.model.perf_event_array import ModelPerfEventArray
from appliance.maps.model.prog_array import ModelProgArray
from appliance.maps.model.redirect import ModelCpumap, ModelDevmap, ModelDevmapHash, ModelXskmap
from appliance.maps.model.ringbuf import ModelRingBuffer
from appliance.maps.operations import kind_of


class ModelArray(ModelMap):
    """Arrays and, as there is one processor, per-CPU arrays. A value is made when somebody first asks for it.
    For one thread."""

    def _has(self, key: bytes) -> bool:
        return int.from_bytes(key, "little") < self.spec.max_entries

    def lookup(self, key: bytes) -> bytearray | None:
        return self._values.setdefault(key, bytearray(self.spec.value_size)) if self._has(key) else None

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> int:
        self.lookup(key)
        wrong = flags & ~Flag.LOCK if self.spec.lock is not None else flags
        if wrong <= Flag.EXIST and not self._has(key):
            return -errno.E2BIG
        return super().update(key, value, flags)

    def delete(self, key: bytes) -> int:
        return -errno.EINVAL

    def keys(self) -> Iterator[bytes]:
        return (index.to_bytes(4, "little") for index in range(self.spec.max_entries))

    def __len__(self) -> int:
        return self.spec.max_entries


class ModelLpmTrie(ModelMap):
    """Keyed by the key with its meaningless bits cleared. `_lengths` counts the prefixes of each length.
    For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._lengths: Counter[int] = Counter()

    def _longest(self) -> int:
        return 8 * (self.spec.key_size - 4)

    @staticmethod
    def _split(key: bytes) -> tuple[int, bytes]:
        return int.from_bytes(key[:4], "little"), key[4:]

    @staticmethod
    def _prefix(length: int, data: bytes) -> bytes:
        bits = 8 * len(data)
        kept = int.from_bytes(data, "big") >> (bits - length) << (bits - length)
        return length.to_bytes(4, "little") + kept.to_bytes(len(data), "big")

    def lookup(self, key: bytes) -> bytearray | None:
        length, data = self._split(key)
        if length > self._longest():
            return None
        lengths = sorted((shorter for shorter in +self._lengths if shorter <= length), reverse=True)
        candidates = (self._values.get(self._prefix(shorter, data)) for shorter in lengths)
        return next((value for value in candidates if value is not None), None)

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> int:
        length, data = self._split(key)
        if length > self._longest():
            return -errno.EINVAL
        return super().update(self._prefix(length, data), value, flags)

    def delete(self, key: bytes) -> int:
        length, data = self._split(key)
        if length > self._longest():
            return -errno.EINVAL
        return super().delete(self._prefix(length, data))

    def _insert(self, key: bytes, value: bytes) -> int:
        if self._is_full():
            return -errno.ENOSPC
        self._values[key] = bytearray(value)
        self._lengths[self._split(key)[0]] += 1
        return 0

    def _put(self, key: bytes, value: bytes, flags: int) -> None:
        self._values[key] = bytearray(value)

    def _deleted(self, key: bytes) -> None:
        self._lengths[self._split(key)[0]] -= 1


class ModelQueue(ModelMap):
    """Values without keys, the oldest on the left. For one thread."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._held: deque[bytes] = deque()

    def lookup(self, key: bytes) -> bytearray | None:
        return None

    def update(self, key: bytes, value: bytes, flags: int = Flag.ANY) -> int:
        return -errno.EINVAL

    def delete(self, key: bytes) -> int:
        return -errno.EINVAL

    def push(self, value: bytes, flags: int = Flag.ANY) -> int:
        if flags not in (Flag.ANY, Flag.EXIST):
            return -errno.EINVAL
        if len(self._held) == self.spec.max_entries:
            if flags == Flag.ANY:
                return -errno.E2BIG
            self._held.popleft()
        self._held.append(value)
        return 0

    def pop(self) -> bytes | None:
        return self._held.popleft() if self._held else None

    def peek(self) -> bytes | None:
        return self._held[0] if self._held else None

    def __len__(self) -> int:
        return len(self._held)


class ModelStack(ModelQueue):
    """Values without keys, the newest on top. For one thread."""

    def pop(self) -> bytes | None:
        return self._held.pop() if self._held else None

    def peek(self) -> bytes | None:
        return self._held[-1] if self._held else None


class ModelBloomFilter(ModelQueue):
    """Never wrong, where the native one may take a value for known that it was not given. For one thread."""

    def push(self, value: bytes, flags: int = Flag.ANY) -> int:
        if flags != Flag.ANY:
            return -errno.EINVAL
        if value not in self._held:
            self._held.append(value)
        return 0

    def pop(self) -> bytes | None:
        return None

    def peek(self) -> bytes | None:
        return None

    def may_hold(self, value: bytes) -> bool:
        return value in self._held


MODELS: Mapping[MapType, Callable[[MapSpec], ModelMap]] = {
    MapType.ARRAY: ModelArray,
    MapType.PERCPU_ARRAY: ModelArray,
    MapType.HASH: ModelHash,
    MapType.LRU_HASH: ModelLruHash,
    MapType.PERCPU_HASH: ModelHash,
    MapType.LRU_PERCPU_HASH: ModelLruHash,
    MapType.LPM_TRIE: ModelLpmTrie,
    MapType.QUEUE: ModelQueue,
    MapType.STACK: ModelStack,
    MapType.BLOOM_FILTER: ModelBloomFilter,
    MapType.RINGBUF: ModelRingBuffer,
    MapType.PERF_EVENT_ARRAY: ModelPerfEventArray,
    MapType.PROG_ARRAY: ModelProgArray,
    MapType.DEVMAP: ModelDevmap,
    MapType.DEVMAP_HASH: ModelDevmapHash,
    MapType.CPUMAP: ModelCpumap,
    MapType.XSKMAP: ModelXskmap,
    MapType.ARRAY_OF_MAPS: ModelArrayOfMaps,
    MapType.HASH_OF_MAPS: ModelHashOfMaps,
}


def model(spec: MapSpec) -> ModelMap:
    """A map as `spec` declares it, with its contents. Raises MapRefused as the native one does."""
    kind_of(spec)
    made = MODELS[spec.type](spec)
    for key, value in spec.contents:
        if spec.key_size:
            made.update(key, value)
        else:
            made.push(value)
    return made


def models(specs: Mapping[str, MapSpec]) -> dict[str, ModelMap]:
    """The maps of a collection by name, maps of maps with the maps in them that their declarations name."""
    made = {name: model(spec) for name, spec in specs.items()}
    for map_ in made.values():
        if isinstance(map_, ModelMapOfMaps):
            for index, name in map_.spec.values:
                map_.put(index.to_bytes(map_.spec.key_size, "little"), made[name])
    return made
