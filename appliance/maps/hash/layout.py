"""The memory of a hash map: buckets of one cache line that know their entries' hashes, and preallocated elements.

    map ─> ┌───────────────────────────┐
           │ HashHeader                │  line 0: seeds, only read; line 1: what writers of any entry share
           ├───────────────────────────┤
           │ Extra 0                   │  one line for each worker, and one for the control plane: elements that
           │ …  processors + 1         │  stand by to take the place of an entry's (`extra`)
           ├───────────────────────────┤
           │ Bucket 0                  │      Bucket, 64 bytes
           │ Bucket 1                  │      ┌──────┬──────────┬───────┬────────┬────────┬─── ─ ─ ┬────────┐
           │ …  max_entries / 4 + 1    │      │ lock │ overflow │ reach │ slot 1 │ slot 2 │        │ slot 7 │
           ├───────────────────────────┤      └──────┴──────────┴───────┴────────┴────────┴─── ─ ─ ┴────────┘
           │ element 1                 │      slot (64 bits)              element
           │ element 2                 │      ┌──────────┬──────────┐     ┌──────────────────┬─────┬───────┐
           │ …  max_entries, extras    │      │ tag   32 │ number 32│     │ (referenced: LRU)│ key │ value │
           └───────────────────────────┘      └──────────┴──────────┘     └──────────────────┴─────┴───────┘

A key hashes to a home bucket and a tag. Its slot is in the home bucket or, if that was full, in one of the `reach`
buckets behind it (the last bucket is followed by the first); `overflow` counts the entries that live away from home.
So a lookup touches one line for the bucket and one for the element, and a miss mostly touches just the bucket.

A slot of 0 is free; element numbers begin at 1. All zero (but for the header and the extras) is an empty map, and pages
that no entry needs stay unmade: elements are first taken in order (`fresh`), and afterwards from a stack of freed ones
(`free`), whose links are the first four bytes of their keys.

Of a per-CPU hash, an element holds one value for every processor:  │ key │ value 0 │ value 1 │ …
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from appliance.ebpf.map_types import MapType
from appliance.maps.hash.hashing import SEEDS
from appliance.maps.kind import CACHE_LINE, Shape, element_size, round_up
from appliance.memory import Memory

SLOTS = 7
PER_PROCESSOR = frozenset({MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH})
# Types whose entries are updated in place: of per-CPU hashes as in the kernel; of the others the value is one word.
IN_PLACE = PER_PROCESSOR | {MapType.DEVMAP_HASH, MapType.HASH_OF_MAPS}
LOAD = 4  # entries for which there is one bucket: of 7 slots, so that few buckets overflow
EXTRAS = 8  # elements that stand by for each processor, if they are small: a page at most
EXTRA_BYTES = 4096


class HashHeader(ctypes.Structure):
    """How large the map is stands here and not in the code, so that maps of one kind of entry share their code.

    `elements` is where they begin, in bytes from the map, and `element_count` their number, those that stand by
    included. `free` is the top of the stack of freed elements, a tag that counts changes in its upper half; `hand` the
    clock's, and `evicted` how many entries it has pushed out (LRU alone).
    """

    _fields_ = (
        ("seeds", ctypes.c_uint64 * SEEDS),
        ("bucket_count", ctypes.c_uint64),
        ("elements", ctypes.c_uint64),
        ("max_entries", ctypes.c_uint32),
        ("element_count", ctypes.c_uint32),
        ("_rest_of_line", ctypes.c_uint32 * (2 * (5 - SEEDS))),
        ("free", ctypes.c_uint64),
        ("fresh", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("hand", ctypes.c_uint64),
        ("evicted", ctypes.c_uint64),
        ("_rest_of_second_line", ctypes.c_uint64 * 4),
    )


class Extra(ctypes.Structure):
    """The elements that stand by for one processor, taken and put back in turn: `turn` counts that. A number of 0 is
    one that was just taken."""

    _fields_ = (
        ("turn", ctypes.c_uint32),
        ("_padding", ctypes.c_uint32),
        ("numbers", ctypes.c_uint32 * EXTRAS),
        ("_rest_of_line", ctypes.c_uint32 * (CACHE_LINE // 4 - 2 - EXTRAS)),
    )


class Bucket(ctypes.Structure):
    """`lock` is held by whoever changes an entry whose home this is; only then do `overflow` and `reach` change."""

    _fields_ = (
        ("lock", ctypes.c_uint16),
        ("overflow", ctypes.c_uint16),
        ("reach", ctypes.c_uint32),
        ("slots", ctypes.c_uint64 * SLOTS),
    )


@dataclass(frozen=True, slots=True)
class HashLayout:
    """Where everything is, in bytes from the map's address; `extras` is how many elements stand by for each processor,
    none if entries are updated in place."""

    buckets: int
    bucket_count: int
    elements: int
    element_count: int
    extras: int
    element_size: int
    key: int
    value: int
    copies: int
    copy_size: int
    size: int

    @classmethod
    def of(cls, shape: Shape, *, referenced: bool) -> HashLayout:
        """`referenced`: elements begin with 8 bytes that say whether they were used lately.

        Where every processor has a value of its own, each begins a cache line, so that nobody shares any.
        """
        lines = 0 if shape.type in IN_PLACE else shape.processors + 1
        buckets = ctypes.sizeof(HashHeader) + lines * ctypes.sizeof(Extra)
        bucket_count = shape.max_entries // LOAD + 1
        elements = buckets + bucket_count * ctypes.sizeof(Bucket)
        key = 8 if referenced else 0
        copies = shape.processors if shape.type in PER_PROCESSOR else 1
        unit = CACHE_LINE if copies > 1 else 8
        value = round_up(key + shape.key_size, unit)
        copy_size = round_up(shape.value_size, unit)
        each = element_size(value + copies * copy_size)
        if copies > 1:
            each = round_up(each, unit)
        extras = max(1, min(EXTRAS, EXTRA_BYTES // each)) if lines else 0
        count = shape.max_entries + lines * extras
        size = elements + count * each
        return cls(buckets, bucket_count, elements, count, extras, each, key, value, copies, copy_size, size)


def initialise(memory: Memory, shape: Shape, *, referenced: bool = False) -> None:
    """Say how large the map is, and choose the seeds; odd, so that none is zero. Every processor gets its extras, which
    are the elements behind the first max_entries."""
    layout = HashLayout.of(shape, referenced=referenced)
    header = HashHeader(
        bucket_count=layout.bucket_count,
        elements=layout.elements,
        max_entries=shape.max_entries,
        element_count=layout.element_count,
    )
    header.seeds[:] = [int.from_bytes(os.urandom(8), "little") | 1 for _ in range(SEEDS)]
    memory.write(0, bytes(header))
    if layout.extras:
        for processor in range(shape.processors + 1):
            extra = Extra()
            first = shape.max_entries + 1 + processor * layout.extras
            extra.numbers[: layout.extras] = range(first, first + layout.extras)
            memory.write(ctypes.sizeof(HashHeader) + processor * ctypes.sizeof(Extra), bytes(extra))


def count(memory: Memory, shape: Shape) -> int:
    """Elements taken, which are the entries but for those that are being put in or taken out just now."""
    return int.from_bytes(memory.read(HashHeader.count.offset, HashHeader.count.size), "little")


def evicted(memory: Memory) -> int:
    """Entries of an LRU hash that others have pushed out since it was made."""
    return int.from_bytes(memory.read(HashHeader.evicted.offset, HashHeader.evicted.size), "little")
