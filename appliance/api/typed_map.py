"""Maps of what is loaded, with keys and values as what they mean instead of their bytes.

    flows = loaded.typed("flows", key=FlowKey, value=Stats)
    flows[FlowKey(source=1, port=443)].packets
    loaded.typed_queue("jobs").pop()

A value of a per-CPU map is a list, with one for each processor. Where the object has no types, keys and values are
bytes. The same map as bytes is `loaded.maps["flows"]`; the two may be used side by side, and beside programs.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, MutableMapping, Sequence, ValuesView
from typing import Any, Protocol

from appliance.api.errors import ValueUnfit
from appliance.ebpf.spec import MapSpec
from appliance.ebpf.values import Codec
from appliance.maps import KINDS, Flag, Map, NoSuchEntry


class Entries(Protocol):
    """A map as bytes: `Map`, or what a kernel has."""

    @property
    def spec(self) -> MapSpec: ...
    @property
    def processors(self) -> int: ...
    def lookup(self, key: bytes, /) -> bytes | None: ...
    def lookup_all(self, key: bytes, /) -> list[bytes]: ...
    def update(self, key: bytes, value: bytes, flags: int, /) -> None: ...
    def update_all(self, key: bytes, values: Sequence[bytes], flags: int, /) -> None: ...
    def update_batch(self, entries: Iterable[tuple[bytes, bytes]], flags: int, /) -> int: ...
    def delete(self, key: bytes, /) -> bool: ...
    def lookup_and_delete(self, key: bytes, /) -> bytes | None: ...
    def keys(self) -> Iterator[bytes]: ...
    def items(self) -> Iterator[tuple[bytes, bytes]]: ...
    def clear(self) -> None: ...
    def __len__(self) -> int: ...


class TypedMap(MutableMapping[Any, Any]):
    """A map with keys, as a Python mapping. Made by `Loaded.typed`.

    Beside what is said here, its methods raise what those of the map do: MapFull, MapFrozen, OperationRefused (entries
    of an array can't be deleted); and ValueUnfit for what is no key or value, with its place. Any thread.
    """

    def __init__(self, map_: Entries, key: Codec, value: Codec) -> None:
        self.raw = map_
        self.key_codec = key
        self.value_codec = value
        self._per_processor = KINDS[map_.spec.type].per_processor

    def __getitem__(self, key: object) -> Any:
        """The value under the key. Raises NoSuchEntry, a KeyError."""
        data = self._key(key)
        found = self.raw.lookup_all(data) if self._per_processor else self.raw.lookup(data)
        if not found:
            raise self._missing(key)
        return self.value_of(found if isinstance(found, bytes) else b"".join(found))

    def __setitem__(self, key: object, value: object) -> None:
        self.put(key, value)

    def put(self, key: object, value: object, flags: Flag = Flag.ANY) -> None:
        """`map[key] = value`, if it is new (NOEXIST), or if it is there already (EXIST).

        Raises EntryExists, NoSuchEntry.
        """
        data = self._key(key)
        if self._per_processor:
            self.raw.update_all(data, self._values(value), flags)
        else:
            self.raw.update(data, self._encoded(self.value_codec, value, "value"), flags)

    def __delitem__(self, key: object) -> None:
        """Take the entry out. Raises NoSuchEntry."""
        if not self.raw.delete(self._key(key)):
            raise self._missing(key)

    def take(self, key: object) -> Any:
        """Take the entry out and give its value, in one step. Raises NoSuchEntry; OperationRefused if it is no hash."""
        found = self.raw.lookup_and_delete(self._key(key))
        if found is None:
            raise self._missing(key)
        return self.value_of(found)

    def __iter__(self) -> Iterator[Any]:
        """Every key; one that is there all the time comes once."""
        return map(self.key_codec.decode, self.raw.keys())

    def __len__(self) -> int:
        return len(self.raw)

    def entries(self) -> Iterator[tuple[Any, Any]]:
        """Every key with its value, read together; what `items()` goes through."""
        for key, value in self.raw.items():
            yield self.key_codec.decode(key), self.value_of(value)

    def items(self) -> ItemsView[Any, Any]:
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        return _Values(self)

    def update_batch(self, entries: Iterable[tuple[object, object]], flags: Flag = Flag.ANY) -> int:
        """`put` many at once; their number. An error ends it, and what was put in before stays.

        In a per-CPU map every processor gets the same value: the value alone is given, and no list.
        """
        pairs = ((self._key(key), self._encoded(self.value_codec, value, "value")) for key, value in entries)
        return self.raw.update_batch(pairs, flags)

    def clear(self) -> None:
        """Take every entry out; an array's values become zero."""
        self.raw.clear()

    def value_of(self, data: bytes) -> Any:
        """What bytes that the map gave mean; of a per-CPU map those of all processors, one after the other."""
        if not self._per_processor:
            return self.value_codec.decode(data)
        size = self.value_codec.size
        return [self.value_codec.decode(data[start : start + size]) for start in range(0, len(data), size)]

    def __repr__(self) -> str:
        return f"<TypedMap {self.raw.spec.name}: {self.key_codec.name} to {self.value_codec.name}>"

    def _key(self, key: object) -> bytes:
        return self._encoded(self.key_codec, key, "key")

    def _values(self, values: object) -> list[bytes]:
        """The bytes for every processor."""
        count = self.raw.processors
        if not isinstance(values, list | tuple) or len(values) != count:
            hint = f"a list with one value for each of {count}"
            raise ValueUnfit("the values of processors are missing", where=f"map {self.raw.spec.name}", hint=hint)
        return [self._encoded(self.value_codec, value, f"value[{number}]") for number, value in enumerate(values)]

    def _encoded(self, codec: Codec, value: object, part: str) -> bytes:
        return encoded(codec, value, part, f"map {self.raw.spec.name}")

    def _missing(self, key: object) -> NoSuchEntry:
        return NoSuchEntry(self.raw.spec.name, f"there is no entry under {key!r}")


class _Items(ItemsView[Any, Any]):
    """Keys and values are read together, instead of the values one by one."""

    _mapping: TypedMap

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return self._mapping.entries()


class _Values(ValuesView[Any]):
    _mapping: TypedMap

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping.entries())


class TypedQueue:
    """A map without keys: a queue, a stack, a bloom filter. Made by `Loaded.typed_queue`; raises what the map does.
    Any thread."""

    def __init__(self, map_: Map, value: Codec) -> None:
        self.raw = map_
        self.value_codec = value

    def push(self, value: object, flags: Flag = Flag.ANY) -> None:
        """Put a value in; see `Map.push`."""
        self.raw.push(self._encoded(value), flags)

    def pop(self) -> Any:
        """Take the next value out. None if it is empty."""
        found = self.raw.pop()
        return None if found is None else self.value_codec.decode(found)

    def peek(self) -> Any:
        """What `pop` would give, left where it is."""
        found = self.raw.peek()
        return None if found is None else self.value_codec.decode(found)

    def may_hold(self, value: object) -> bool:
        """Whether a bloom filter was given the value: False is certain, True is probable."""
        return self.raw.may_hold(self._encoded(value))

    def __len__(self) -> int:
        return len(self.raw)

    def _encoded(self, value: object) -> bytes:
        return encoded(self.value_codec, value, "value", f"map {self.raw.spec.name}")


def encoded(codec: Codec, value: object, part: str, where: str) -> bytes:
    """The bytes of a value; an error says what it was to be, and where in it the reason lies."""
    try:
        return codec.encode(value)
    except ValueUnfit as error:
        error.where = f"{where}: {error.within(part).where}"
        raise
