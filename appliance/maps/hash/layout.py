"""The memory of a hash map: buckets of one cache line that know their entries' hashes, and preallocated elements.

    map ─> ┌───────────────────────────┐
           │ HashHeader                │  line 0: seeds, only read; line 1: what writers of any entry share
           ├───────────────────────────┤
           │ Bucket 0                  │      Bucket, 64 bytes
           │ Bucket 1                  │      ┌──────┬────────┬───────┬────────┬────────┬─── ─ ─ ┬────────┐
           │ …  max_entries / 4 + 1    │      │ lock │ strays │ reach │ slot 1 │ slot 2 │        │ slot 7 │
           ├───────────────────────────┤      └──────┴────────┴───────┴────────┴────────┴─── ─ ─ ┴────────┘
           │ element 1                 │      slot (64 bits)              element
           │ element 2                 │      ┌──────────┬──────────┐     ┌────────────┬─────┬───────┐
           │ …  max_entries            │      │ tag   32 │ number 32│     │ (used: LRU)│ key │ value │
           └───────────────────────────┘      └──────────┴──────────┘     └────────────┴─────┴───────┘

A key hashes to a home bucket and a tag. Its slot is in the home bucket or, if that was full, in one of the `reach`
buckets behind it (the last bucket is followed by the first); `strays` counts the entries that live away from home.
So a lookup touches one line for the bucket and one for the element, and a miss mostly touches just the bucket.

A slot of 0 is free; element numbers begin at 1. All zero is an empty map, and pages that no entry needs stay unmade:
elements are first taken in order (`fresh`), and afterwards from a stack of freed ones (`free`), whose links are the
first four bytes of their keys.

Of a per-CPU hash, an element holds one value for every processor:  │ key │ value 0 │ value 1 │ …
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from appliance.ebpf.spec import MapType
from appliance.maps.hash.hashing import SEEDS
from appliance.maps.kind import CACHE_LINE, Shape, element_size, round_up
from appliance.maps.memory import Memory

SLOTS = 7
PER_PROCESSOR = frozenset({MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH})
LOAD = 4  # entries for which there is one bucket: of 7 slots, so that few buckets overflow


class HashHeader(ctypes.Structure):
    """How large the map is stands here and not in the code, so that maps of one kind of entry share their code.

    `elements` is where they begin, in bytes from the map. `free` is the top of the stack of freed elements, a tag that
    counts changes in its upper half.
    """

    _fields_ = (
        ("seeds", ctypes.c_uint64 * SEEDS),
        ("bucket_count", ctypes.c_uint64),
        ("elements", ctypes.c_uint64),
        ("max_entries", ctypes.c_uint32),
        ("_rest_of_line", ctypes.c_uint32 * (1 + 2 * (5 - SEEDS))),
        ("free", ctypes.c_uint64),
        ("fresh", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("hand", ctypes.c_uint64),
        ("_rest_of_second_line", ctypes.c_uint64 * 5),
    )


class Bucket(ctypes.Structure):
    """`lock` is held by whoever changes an entry whose home this is; only then do `strays` and `reach` change."""

    _fields_ = (
        ("lock", ctypes.c_uint16),
        ("strays", ctypes.c_uint16),
        ("reach", ctypes.c_uint32),
        ("slots", ctypes.c_uint64 * SLOTS),
    )


@dataclass(frozen=True, slots=True)
class HashLayout:
    """Where everything is, in bytes from the map's address. `used` is whether elements begin with a mark of use."""

    buckets: int
    bucket_count: int
    elements: int
    element_size: int
    key: int
    value: int
    copies: int
    copy_size: int
    size: int

    @classmethod
    def of(cls, shape: Shape, *, marks: bool) -> HashLayout:
        """`marks`: elements begin with 8 bytes that say whether they were used lately.

        Where every processor has a value of its own, each begins a cache line, so that nobody shares any.
        """
        buckets = ctypes.sizeof(HashHeader)
        bucket_count = shape.max_entries // LOAD + 1
        elements = buckets + bucket_count * ctypes.sizeof(Bucket)
        key = 8 if marks else 0
        copies = shape.processors if shape.type in PER_PROCESSOR else 1
        unit = CACHE_LINE if copies > 1 else 8
        value = round_up(key + shape.key_size, unit)
        copy_size = round_up(shape.value_size, unit)
        each = element_size(value + copies * copy_size)
        if copies > 1:
            each = round_up(each, unit)
        size = elements + shape.max_entries * each
        return cls(buckets, bucket_count, elements, each, key, value, copies, copy_size, size)


def initialise(memory: Memory, shape: Shape, *, marks: bool = False) -> None:
    """Say how large the map is, and choose the seeds; odd, so that none is zero."""
    layout = HashLayout.of(shape, marks=marks)
    header = HashHeader(bucket_count=layout.bucket_count, elements=layout.elements, max_entries=shape.max_entries)
    header.seeds[:] = [int.from_bytes(os.urandom(8), "little") | 1 for _ in range(SEEDS)]
    memory.write(0, bytes(header))


def count(memory: Memory, shape: Shape) -> int:
    """Elements taken, which are the entries but for those that are being put in or taken out just now."""
    return int.from_bytes(memory.read(HashHeader.count.offset, HashHeader.count.size), "little")
