"""Routing tables in plain memory, as generated code reads them.

    Tables ── generation, writing
           └─ two Copies, of which the one numbered generation & 1 is whole

    Copy ── ranges      sorted; the route of the greatest start that is not above an address is the address's
         ├─ routes ──> hops
         ├─ neighbours  sorted
         ├─ links       sorted
         └─ rules       in the order in which they are asked

The control plane fills the copy that is not read and then raises `generation`. A reader takes `generation`, works on
its copy, and looks at `writing` afterwards: only if two whole changes began meanwhile was its copy written to, and it
starts again. So readers never wait, and what they answer was true at one time.

Everything sorted begins with a Key, and is found by one search. Numbers of entries never exceed the room for them, so
that a reader who is too slow reads what is wrong, and never what is not there.
"""

from __future__ import annotations

import ctypes

ROUTE_LIMIT, NEIGHBOUR_LIMIT, LINK_LIMIT, RULE_LIMIT = 1 << 20, 1 << 16, 1 << 12, 1 << 10


class Key(ctypes.Structure):
    """A place in an order: one number of 192 bits. `space` keeps addresses of different kinds apart."""

    _fields_ = (("low", ctypes.c_uint64), ("high", ctypes.c_uint64), ("space", ctypes.c_uint64))


class Range(ctypes.Structure):
    """From this address on. `space`: table << 32 | family. `route`: its number, counted from 1; 0 for none."""

    _fields_ = (*Key._fields_, ("route", ctypes.c_uint64))


class RouteEntry(ctypes.Structure):
    """`kind` is a RouteKind; `next` the number of the route that is next best for the same addresses, or 0."""

    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("metric", ctypes.c_uint32),
        ("mtu", ctypes.c_uint32),
        ("next", ctypes.c_uint32),
        ("first_hop", ctypes.c_uint32),
        ("hop_count", ctypes.c_uint32),
    )


class HopEntry(ctypes.Structure):
    """`family` is the gateway's, 0 without one. Addresses are numbers: `_low` is of the last 8 bytes, or of all of
    IPv4's."""

    _fields_ = (
        ("interface", ctypes.c_uint32),
        ("family", ctypes.c_uint32),
        ("gateway_low", ctypes.c_uint64),
        ("gateway_high", ctypes.c_uint64),
        ("source_low", ctypes.c_uint64),
        ("source_high", ctypes.c_uint64),
        ("has_source", ctypes.c_uint32),
        ("encapsulated", ctypes.c_uint32),
    )


class NeighbourEntry(ctypes.Structure):
    """`space`: interface << 32 | family. `ethernet`: 6 bytes, and 2 that mean nothing."""

    _fields_ = (*Key._fields_, ("ethernet", ctypes.c_uint64))


class LinkEntry(ctypes.Structure):
    """`low` is the interface's index. `forwards` has bit 1 << family for each family that it forwards."""

    _fields_ = (
        *Key._fields_,
        ("ethernet", ctypes.c_uint64),
        ("mtu", ctypes.c_uint32),
        ("mtu_ipv6", ctypes.c_uint32),
        ("header", ctypes.c_uint32),
        ("forwards", ctypes.c_uint32),
    )


class RuleEntry(ctypes.Structure):
    """`table` 0: do as `kind` says. A selector fits where (value & mask) is the rule's; an interface of 0 fits any."""

    _fields_ = (
        ("family", ctypes.c_uint32),
        ("table", ctypes.c_uint32),
        ("kind", ctypes.c_uint32),
        ("mark", ctypes.c_uint32),
        ("mask", ctypes.c_uint32),
        ("interface", ctypes.c_uint32),
        ("out_interface", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("source_low", ctypes.c_uint64),
        ("source_high", ctypes.c_uint64),
        ("source_mask_low", ctypes.c_uint64),
        ("source_mask_high", ctypes.c_uint64),
        ("destination_low", ctypes.c_uint64),
        ("destination_high", ctypes.c_uint64),
        ("destination_mask_low", ctypes.c_uint64),
        ("destination_mask_high", ctypes.c_uint64),
    )


# What a copy has: the entries, and how many there is room for. A route needs two ranges at most, and each space one.
ARRAYS: dict[str, tuple[type[ctypes.Structure], int]] = {
    "ranges": (Range, 4 * ROUTE_LIMIT),
    "routes": (RouteEntry, ROUTE_LIMIT),
    "hops": (HopEntry, ROUTE_LIMIT),
    "neighbours": (NeighbourEntry, NEIGHBOUR_LIMIT),
    "links": (LinkEntry, LINK_LIMIT),
    "rules": (RuleEntry, RULE_LIMIT),
}


class Copy(ctypes.Structure):
    """The addresses of the arrays, which never change, and how many entries each has."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ARRAYS),
        *((f"{name}_count", ctypes.c_uint64) for name in ARRAYS),
    )


class Tables(ctypes.Structure):
    """`copies` are their addresses. `generation` is that of the whole copy; `writing` is ahead while one is written."""

    _fields_ = (("generation", ctypes.c_uint64), ("writing", ctypes.c_uint64), ("copies", ctypes.c_uint64 * 2))
