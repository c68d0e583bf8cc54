"""Which worker gets a frame: the kernel asks a classic BPF program, which hashes the two addresses of the packet.

    frame ─ tags ─ PPPoE or MPLS ─ IPv4 or IPv6 ──> mix(source) + mix(destination) ──> modulo the workers

The sum is the same both ways, so that both directions of a flow are one worker's, on every interface that is given the
same key. Ports are left out: fragments behind the first one have none, and they belong to their flow as well. The key
keeps whoever sends frames from choosing a worker. What holds no IP packet is the first worker's.

At ingress a packet socket's program reads from the network header on (net/packet/af_packet.c, fanout_demux_bpf): behind
the outer tag, which the kernel has taken off, and in front of every further one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass

from hooks.linux.filter import (
    BPF_A,
    BPF_ABS,
    BPF_ADD,
    BPF_ALU,
    BPF_AND,
    BPF_H,
    BPF_IMM,
    BPF_IND,
    BPF_JEQ,
    BPF_JMP,
    BPF_JSET,
    BPF_K,
    BPF_LD,
    BPF_LDX,
    BPF_MEM,
    BPF_MISC,
    BPF_MUL,
    BPF_RET,
    BPF_RSH,
    BPF_ST,
    BPF_STX,
    BPF_TAX,
    BPF_TXA,
    BPF_W,
    BPF_X,
    BPF_XOR,
    SKF_AD_OFF,
    SKF_AD_PROTOCOL,
    SKF_NET_OFF,
    sock_filter,
)

NEW_GROUP = -1  # a group whose number the kernel chooses, so that it is nobody else's

_TAGS = (0x8100, 0x88A8, 0x9100, 0x9200)
_IPV4, _IPV6, _PPPOE, _MPLS = 0x0800, 0x86DD, 0x8864, 0x8847
_PPP_IPV4, _PPP_IPV6 = 0x0021, 0x0057
_MOST_TAGS, _MOST_LABELS = 4, 4
_BOTTOM_OF_STACK = 1 << 8  # RFC 3032 section 2.1, in a label's 32 bits
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B  # odd multipliers of a mixing of 32 bits
_SOURCE, _DESTINATION, _OFFSET = 0, 1, 2  # cells of the program's memory

_LOAD, _LOAD_HALF = BPF_LD | BPF_W | BPF_IND, BPF_LD | BPF_H | BPF_IND
_LOAD_CELL, _STORE_CELL, _X_OF_CELL = BPF_LD | BPF_MEM, BPF_ST, BPF_LDX | BPF_MEM
_ADD_X, _XOR_X, _TO_X = BPF_ALU | BPF_ADD | BPF_X, BPF_ALU | BPF_XOR | BPF_X, BPF_MISC | BPF_TAX
_EQUAL, _HAS, _GO = BPF_JMP | BPF_JEQ | BPF_K, BPF_JMP | BPF_JSET | BPF_K, BPF_JMP

_Step = tuple[int, int] | tuple[int, int, str] | str  # code and number, with where to go if it holds; or a label


@dataclass(frozen=True, slots=True)
class Fanout:
    """The place of a socket among others of its interface: their group, and the key that all groups of a box share."""

    key: int
    group: int = NEW_GROUP


def flow_program(key: int) -> ctypes.Array[sock_filter]:
    """The program. `key` has 32 bits."""
    return _assemble([*_find_packet(), *_addresses(), *_hash(key), "other", (BPF_RET | BPF_K, 0)])


def _find_packet() -> Iterator[_Step]:
    """To `ipv4` or `ipv6` with the packet's offset, from the network header on, in X."""
    yield BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PROTOCOL
    yield BPF_LDX | BPF_IMM, 0
    for depth in range(_MOST_TAGS):
        for number, label in ((_IPV4, "ipv4"), (_IPV6, "ipv6"), (_PPPOE, "pppoe"), (_MPLS, "mpls")):
            yield _EQUAL, number, label
        for number in _TAGS:
            yield _EQUAL, number, f"tag{depth}"
        yield _GO, 0, "other"
        yield f"tag{depth}"
        yield _LOAD_HALF, SKF_NET_OFF + 2
        yield BPF_LDX | BPF_IMM, 4 * (depth + 1)
    for number, label in ((_IPV4, "ipv4"), (_IPV6, "ipv6")):
        yield _EQUAL, number, label
    yield _GO, 0, "other"
    yield "pppoe"
    yield _LOAD_HALF, SKF_NET_OFF + 6
    yield from _move_on(8)
    for number, label in ((_PPP_IPV4, "ipv4"), (_PPP_IPV6, "ipv6")):
        yield _EQUAL, number, label
    yield _GO, 0, "other"
    yield "mpls"
    for _ in range(_MOST_LABELS):
        yield _LOAD, SKF_NET_OFF
        yield from _move_on(4)
        yield _HAS, _BOTTOM_OF_STACK, "bottom"
    yield _GO, 0, "other"
    yield "bottom"
    yield _LOAD_HALF, SKF_NET_OFF
    yield BPF_ALU | BPF_AND | BPF_K, 0xF000
    for number, label in ((0x4000, "ipv4"), (0x6000, "ipv6")):
        yield _EQUAL, number, label
    yield _GO, 0, "other"


def _move_on(size: int) -> Iterator[_Step]:
    """X by that many bytes; A stays."""
    yield _STORE_CELL, _SOURCE
    yield BPF_MISC | BPF_TXA, 0
    yield BPF_ALU | BPF_ADD | BPF_K, size
    yield _TO_X, 0
    yield _LOAD_CELL, _SOURCE


def _addresses() -> Iterator[_Step]:
    """Both addresses as a number each, into their cells, then to `hash`."""
    yield "ipv4"
    for cell, offset in ((_SOURCE, 12), (_DESTINATION, 16)):
        yield _LOAD, SKF_NET_OFF + offset
        yield _STORE_CELL, cell
    yield _GO, 0, "hash"
    yield "ipv6"
    yield BPF_STX, _OFFSET
    for cell, offset in ((_SOURCE, 8), (_DESTINATION, 24)):
        yield _LOAD, SKF_NET_OFF + offset
        for word in range(4, 16, 4):
            yield BPF_ALU | BPF_MUL | BPF_K, _FIRST
            yield _STORE_CELL, cell
            yield _X_OF_CELL, _OFFSET
            yield _LOAD, SKF_NET_OFF + offset + word
            yield _X_OF_CELL, cell
            yield _ADD_X, 0
        yield _STORE_CELL, cell
        yield _X_OF_CELL, _OFFSET


def _hash(key: int) -> Iterator[_Step]:
    """The answer, which the kernel takes modulo the number of workers."""
    yield "hash"
    for cell in (_SOURCE, _DESTINATION):
        yield _LOAD_CELL, cell
        yield BPF_ALU | BPF_XOR | BPF_K, key
        for factor, shift in ((_FIRST, 15), (_SECOND, 16)):
            yield BPF_ALU | BPF_MUL | BPF_K, factor
            yield _TO_X, 0
            yield BPF_ALU | BPF_RSH | BPF_K, shift
            yield _XOR_X, 0
        yield _STORE_CELL, cell
    yield _X_OF_CELL, _SOURCE
    yield _ADD_X, 0
    yield BPF_RET | BPF_A, 0


def _assemble(steps: list[_Step]) -> ctypes.Array[sock_filter]:
    """Instructions, with distances in place of labels. One that compares goes on below where it doesn't hold."""
    labels: dict[str, int] = {}
    written: list[tuple[int, ...] | tuple[int, int, str]] = []
    for step in steps:
        if isinstance(step, str):
            labels[step] = len(written)
        else:
            written.append(step)
    program = (sock_filter * len(written))()
    for place, (code, number, *target) in enumerate(written):
        distance = labels[str(target[0])] - place - 1 if target else 0
        assert 0 <= distance < 256 or code == _GO
        program[place] = (
            sock_filter(code, 0, 0, distance) if code == _GO else sock_filter(code, distance, 0, number & 0xFFFFFFFF)
        )
    return program
