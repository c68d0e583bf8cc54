"""The memory of an LPM trie: path-compressed binary tries, one for each way that an address can begin.

    map ─> ┌────────────┐   A prefix of at least `root_bits` bits is in the trie of its first root_bits bits; a shorter
           │ TrieHeader │   one is in the shallow trie. So a lookup in a large set starts where a plain trie would
           ├────────────┤   have arrived after root_bits steps, and asks the shallow trie only if it finds nothing.
           │ root 0     │
           │ root 1     │   a trie                 node (numbers begin at 1; a link of 0 leads nowhere)
           │ … 2^bits   │                          ┌───────────┬───────────┬────────┬────┬──────┬───────┐
           ├────────────┤      10.0/8              │ child 0   │ child 1   │ prefix │ id │ bits │ value │
           │ entry 1    │     0/     \\1            └───────────┴───────────┴────────┴────┴──────┴───────┘
           │ … max_ent. │   10.1/16  10.128/9        `prefix` is ENTRY, and the length; `bits` are 64-bit words that
           ├────────────┤                            begin with the first bit of the prefix; what is beyond its
           │ node 1     │                            length is 0
           │ …          │
           └────────────┘

A node whose two children differ at its end, and which is no entry itself, is not an ENTRY. Such nodes are fewer than
the entries, so 2 * max_entries nodes suffice, one to take another's place, and those that wait: a freed node is used
again after RESTING others at least, so that who still reads its value may be that late.

An entry that is updated gets another node. What it keeps is its id (they begin at 1): `entry id` is the number of its
node, or FREE and the next free id; a walk goes along these.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from appliance.maps.kind import CACHE_LINE, Shape, element_size, round_up
from appliance.memory import Memory

LENGTH_SIZE = 4  # bpf_lpm_trie_key begins with the prefix length, u32 in host order
ENTRY = 1 << 31  # in a node's `prefix`, beside the length in bits
FREE = 1 << 31  # in an id's place, beside the next free id
RESTING = 64  # freed nodes that wait
LEAST_ROOT_BITS, MOST_ROOT_BITS = 8, 20  # 1 KiB of roots for a few prefixes, 4 MiB for two million
ENTRIES_PER_ROOT = 2


class TrieHeader(ctypes.Structure):
    """`sequence` grows whenever nodes are freed: a reader that sees it change starts again.

    Freed nodes are a queue, from `free` to `free_last`, `free_count` of them; freed ids a stack. `fresh` and `fresh_id`
    are the highest numbers that were ever given out.
    """

    _fields_ = (
        ("sequence", ctypes.c_uint32),
        ("shallow", ctypes.c_uint32),
        ("_rest_of_line", ctypes.c_uint64 * 7),
        ("lock", ctypes.c_uint16),
        ("free", ctypes.c_uint32),
        ("free_last", ctypes.c_uint32),
        ("free_count", ctypes.c_uint32),
        ("fresh", ctypes.c_uint32),
        ("free_id", ctypes.c_uint32),
        ("fresh_id", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("_rest_of_second_line", ctypes.c_uint64 * 4),
    )


class Node(ctypes.Structure):
    """The fixed part of a node. In a freed one, `children[0]` is the next freed one."""

    _fields_ = (
        ("children", ctypes.c_uint32 * 2),
        ("prefix", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class TrieLayout:
    """Where everything is. `roots`, `ids` and `nodes` in bytes from the map's address, `bits` and `value` from a
    node's."""

    data_size: int
    words: int
    root_bits: int
    roots: int
    ids: int
    nodes: int
    node_count: int
    node_size: int
    bits: int
    value: int
    size: int

    @classmethod
    def of(cls, shape: Shape) -> TrieLayout:
        data_size = shape.key_size - LENGTH_SIZE
        words = -(-data_size // 8)
        wanted = (shape.max_entries // ENTRIES_PER_ROOT).bit_length() - 1
        root_bits = min(max(wanted, LEAST_ROOT_BITS), MOST_ROOT_BITS, data_size * 8)
        roots = ctypes.sizeof(TrieHeader)
        ids = roots + (4 << root_bits)
        nodes = round_up(ids + 4 * shape.max_entries, CACHE_LINE)
        node_count = 2 * shape.max_entries + 1 + RESTING
        bits = ctypes.sizeof(Node)
        value = bits + 8 * words
        node_size = element_size(value + shape.value_stride)
        size = nodes + node_count * node_size
        return cls(data_size, words, root_bits, roots, ids, nodes, node_count, node_size, bits, value, size)

    @property
    def longest(self) -> int:
        """The longest prefix, in bits."""
        return self.data_size * 8


def count(memory: Memory, shape: Shape) -> int:
    """The prefixes in the trie."""
    return int.from_bytes(memory.read(TrieHeader.count.offset, TrieHeader.count.size), "little")
