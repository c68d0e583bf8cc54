"""Packet headers as they lie in a frame, each declared once. Numbers are big-endian; generated code swaps them.

Fields keep their natural alignment inside a header, and generated code loads them whole: BPF programs assume, as every
program for XDP does, that the machine reads unaligned numbers.
"""

from __future__ import annotations

import ctypes

from appliance.ir import Code, Pointer, Value

U8, U16, U32, U64 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64


class EthernetHeader(ctypes.Structure):
    """IEEE 802.3; the MAC addresses in the pieces that can be loaded at once."""

    _layout_ = "ms"  # what packing is by; Python 3.14 wants it said
    _pack_ = 2
    _fields_ = (
        ("destination_high", U32),
        ("destination_low", U16),
        ("source_high", U16),
        ("source_low", U32),
        ("ethertype", U16),
    )


class VlanTag(ctypes.Structure):
    """IEEE 802.1Q behind its tag protocol identifier. `control` is priority (3 bits), DEI (1), VLAN id (12)."""

    _fields_ = (("control", U16), ("ethertype", U16))


class Ipv4Header(ctypes.Structure):
    """RFC 791 section 3.1. `fragment` is reserved, DF, MF (1 bit each) and the offset in 8 bytes (13)."""

    _fields_ = (
        ("version_length", U8),
        ("service", U8),
        ("total_length", U16),
        ("identification", U16),
        ("fragment", U16),
        ("ttl", U8),
        ("protocol", U8),
        ("checksum", U16),
        ("source", U32),
        ("destination", U32),
    )


class Ipv6Header(ctypes.Structure):
    """RFC 8200 section 3."""

    _fields_ = (
        ("version_class", U8),
        ("class_flow", U8),
        ("flow", U16),
        ("payload_length", U16),
        ("next_header", U8),
        ("hop_limit", U8),
        ("source_high", U64),
        ("source_low", U64),
        ("destination_high", U64),
        ("destination_low", U64),
    )


class Ipv6Extension(ctypes.Structure):
    """The first 8 bytes of an extension header, RFC 8200 section 4. `fragment` and what follows it are those of a
    fragment header: offset in 8 bytes (13 bits), reserved (2), more fragments (1)."""

    _fields_ = (("next_header", U8), ("length", U8), ("fragment", U16), ("identification", U32))


class TcpHeader(ctypes.Structure):
    """RFC 9293 section 3.1. `offset_flags` is the header's length in 4 bytes (4 bits), reserved (3), flags (9)."""

    _fields_ = (
        ("source_port", U16),
        ("destination_port", U16),
        ("sequence", U32),
        ("acknowledgement", U32),
        ("offset_flags", U16),
        ("window", U16),
        ("checksum", U16),
        ("urgent", U16),
    )


class UdpHeader(ctypes.Structure):
    """RFC 768."""

    _fields_ = (("source_port", U16), ("destination_port", U16), ("length", U16), ("checksum", U16))


class IcmpHeader(ctypes.Structure):
    """RFC 792, and RFC 4443 section 2.1, where all but the first four bytes depend on the type."""

    _fields_ = (("type", U8), ("code", U8), ("checksum", U16), ("rest", U32))


def read(code: Code, header: Pointer, structure: type[ctypes.Structure], name: str) -> Value:
    """A field's value in host order."""
    return code.swap_bytes(code.field(header, structure, name).load())
