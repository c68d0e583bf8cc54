"""BPF_MAP_TYPE_LPM_TRIE: values under prefixes; a lookup finds the longest prefix that the given key begins with.

    key (struct bpf_lpm_trie_key of include/uapi/linux/bpf.h)
    ┌────────────────┬────────────────────────┐
    │ prefixlen  u32 │ data, 1 to 256 bytes   │    10.1.0.0/16 is  10 00 00 00  0a 01 00 00
    └────────────────┴────────────────────────┘
      host order       network order, the first bit the highest of the first byte

Bits behind the prefix mean nothing, and come back as 0. Update and delete mean one very prefix. A prefix longer than
the data is EINVAL to them and null to a lookup; a new prefix in a full trie is ENOSPC.
Layout: layout.py. Concurrency: lookup.py. Source of the semantics: kernel/bpf/lpm_trie.c.
"""

from __future__ import annotations

from llvmlite import ir

from appliance.ebpf.spec import MapSpec
from appliance.maps.checks import LPM_FLAGS, check_flags, check_key_size, check_sizes
from appliance.maps.kind import Kind, Shape
from appliance.maps.lpm.layout import LENGTH_SIZE, TrieLayout, count
from appliance.maps.lpm.lookup import Trie, emit_lookup, emit_read
from appliance.maps.lpm.update import TrieWriter
from appliance.memory import Layout, Memory, Plain

LONGEST_DATA = 256  # bytes
LARGE = 32 << 20  # bytes of a trie: a quarter of a million IPv4 prefixes


def _check(spec: MapSpec) -> None:
    check_sizes(spec)
    least, most = LENGTH_SIZE + 1, LENGTH_SIZE + LONGEST_DATA
    check_key_size(spec, least, most, f"a trie's key is a u32 prefix length and 1 to {LONGEST_DATA} bytes of data")
    check_flags(spec, LPM_FLAGS)


def _size(shape: Shape) -> int:
    return TrieLayout.of(shape).size


def _memory(shape: Shape, size: int) -> Layout:
    """A lookup in a large trie reads nodes from all over it, and without huge pages it would miss the TLB at each."""
    return Plain(size, huge_pages=size >= LARGE)


def _nothing_to_initialise(memory: Memory, shape: Shape) -> None:
    """All zero is an empty trie."""


def _emit(module: ir.Module, shape: Shape) -> None:
    trie = Trie(shape)
    writer = TrieWriter(module, trie)
    emit_read(module, trie, emit_lookup(module, trie))
    writer.emit_update()
    writer.emit_delete()
    writer.emit_next()


def _emit_lookup(module: ir.Module, shape: Shape) -> None:
    emit_lookup(module, Trie(shape))


LPM_TRIE = Kind(
    check=_check,
    size=_size,
    initialise=_nothing_to_initialise,
    count=count,
    emit=_emit,
    emit_lookup=_emit_lookup,
    memory=_memory,
)
