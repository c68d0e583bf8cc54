"""What honest programs do with helpers, maps, loops and functions, as text to fill in: most often right, and sometimes
with one thing left out.

Registers are those of `generate`: r6 is the context, r7 and r8 are the packet's ends, r9 is a map value, r10 - 8 and
r10 - 16 hold numbers; r2, r3 and r4 are numbers again behind each idiom, and r5 and r1 pointers.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol, TypeAlias

AGAIN = "r1 = r6; r2 = *(u64 *)(r10 - 8); r3 = r0; r4 = 3; r5 = r7"
_NO_ANSWER = "r0 = 0; " + AGAIN
_MOVED = "r5 = *(u32 *)(r6 + 0); r7 = r5; r8 = *(u32 *)(r6 + 4)"
_KEY = "r2 = r10; r2 += -8"


class Writer(Protocol):
    """The program that is being written."""

    pick: random.Random

    def label(self) -> str:
        """A name that no label has."""

    def body(self, most: int) -> str:
        """Up to `most` more statements, of those that stay in place."""

    def function(self, prologue: str, end: str) -> str:
        """The name of a new function, which begins and ends so."""


Idiom: TypeAlias = Callable[[Writer], str]


def _mostly(writer: Writer, right: str, wrong: str = "") -> str:
    return right if writer.pick.random() < 0.92 else wrong


def _iterations(writer: Writer) -> int:
    """Few, or so many that they are counted and not walked (`appliance.verifier.loops.induction`)."""
    return writer.pick.choice((1, 2, 3, 6, 20, 40, 200))


def counted_loop(writer: Writer) -> str:
    """A loop with a constant bound, down or up."""
    top, iterations = writer.label(), _iterations(writer)
    if writer.pick.random() < 0.5:
        return f"r0 = {iterations}; {top}: {writer.body(3)}; r0 -= 1; if r0 != 0 goto {top}"
    return f"r0 = 0; {top}: {writer.body(3)}; r0 += 1; if r0 < {iterations} goto {top}"


def moving_loop(writer: Writer) -> str:
    """A pointer that moves along with the counter, up or down, over the stack or a map value."""
    top, iterations, step = writer.label(), writer.pick.choice((2, 8, 16, 20, 64)), writer.pick.choice((1, 1, 2, 8, -1))
    start = writer.pick.choice(("r5 = r10; r5 += -16", "r5 = r10; r5 += -1", "r5 = r9", "r5 = r9; r5 += 15"))
    counter = writer.pick.choice(("r0", "w0"))
    body = writer.pick.choice(("r4 = *(u8 *)(r5 + 0)", "*(u8 *)(r5 + 0) = r2", "r4 = *(u32 *)(r5 + 0)", writer.body(2)))
    back = writer.pick.choice((f"if r0 < {iterations} goto {top}", f"if w0 != {iterations} goto {top}"))
    return f"{start}; r0 = 0; {top}: {body}; r5 += {step}; {counter} += 1; {back}; {_NO_ANSWER}"


def loop_by_data(writer: Writer) -> str:
    """As many iterations as a number says, which was bounded before."""
    top, behind = writer.label(), writer.label()
    bound = _mostly(writer, f"r0 &= {writer.pick.choice((3, 7, 15, 63))}")
    return (
        f"r0 = r{writer.pick.choice((2, 3))}; {bound}; {top}: if r0 == 0 goto {behind}; {writer.body(2)}; r0 -= 1;"
        f" goto {top}; {behind}:"
    )


def loop_over_packet(writer: Writer) -> str:
    """A pointer that moves on, compared in each iteration."""
    top, behind, step = writer.label(), writer.label(), writer.pick.choice((1, 2, 4, 8))
    check = _mostly(writer, f"if r1 > r8 goto {behind}")
    return (
        f"r0 = {_iterations(writer)}; r5 = r7; {top}: r1 = r5; r1 += {step}; {check}; r4 = *(u8 *)(r5 + 0);"
        f" r5 = r1; r0 -= 1; if r0 s> 0 goto {top}; {behind}: {_NO_ANSWER}"
    )


def value_in_map(writer: Writer) -> str:
    """A lookup, with what is found changed at once or by an atomic addition."""
    behind = writer.label()
    change = writer.pick.choice(("lock *(u64 *)(r0 + 0) += r2", "*(u32 *)(r0 + 12) = r2", "r2 = *(u64 *)(r0 + 8)"))
    check = _mostly(writer, f"if r0 == 0 goto {behind}")
    return f"{_KEY}; r1 = map[flows] ll; call map_lookup_elem; r2 = 1; {check}; {change}; {behind}: {_NO_ANSWER}"


def map_in_map(writer: Writer) -> str:
    """Two lookups."""
    behind, second = writer.label(), _mostly(writer, "if r0 == 0 goto ")
    check = f"{second}{behind}" if second else ""
    return (
        f"{_KEY}; r1 = map[tenants] ll; call map_lookup_elem; if r0 == 0 goto {behind}; r1 = r0; {_KEY};"
        f" call map_lookup_elem; {check}; *(u64 *)(r0 + {writer.pick.choice((0, 8, 8, 9))}) = 1; {behind}: {_NO_ANSWER}"
    )


def record(writer: Writer) -> str:
    """A record of a ring buffer: reserved, written, given back, with anything in between."""
    behind, end = writer.label(), writer.pick.choice(("submit", "discard"))
    given = _mostly(writer, f"r1 = r0; r2 = 0; call ringbuf_{end}")
    between = writer.body(2) if writer.pick.random() < 0.3 else ""
    return (
        f"r1 = map[events] ll; r2 = 16; r3 = 0; call ringbuf_reserve; {AGAIN.replace('r3 = r0', 'r3 = 1')};"
        f" {_mostly(writer, f'if r0 == 0 goto {behind}')}; *(u64 *)(r0 + {writer.pick.choice((0, 8, 8, 12))}) = r2;"
        f" {between}; {given}; {behind}: {_NO_ANSWER}"
    )


def reserved_dynptr(writer: Writer) -> str:
    """A dynptr of a ring buffer: made, written through a slice or by a helper, and given back."""
    behind, end = writer.label(), writer.pick.choice(("submit", "discard"))
    place = "r1 = r10; r1 += -40"
    write = writer.pick.choice(
        (
            f"{place}; r2 = 8; r3 = {writer.pick.choice((8, 4, 7))}; call dynptr_data; if r0 == 0 goto {behind};"
            " *(u32 *)(r0 + 0) = 7",
            f"{place}; r2 = {writer.pick.choice((0, 8, 16))}; r3 = r10; r3 += -8; r4 = 8; r5 = 0; call dynptr_write",
        )
    )
    given = _mostly(writer, f"{place}; r2 = 0; call ringbuf_{end}_dynptr")
    return (
        "r1 = map[events] ll; r2 = 16; r3 = 0; r4 = r10; r4 += -40; call ringbuf_reserve_dynptr;"
        f" {write}; {behind}: {given}; {_NO_ANSWER}"
    )


def dynptr_of_value(writer: Writer) -> str:
    """A dynptr of a map value, read into the stack."""
    size = writer.pick.choice((8, 16, 16, 17))
    return (
        f"r1 = map[globals][0] + 0 ll; r2 = {size}; r3 = 0; r4 = r10; r4 += -56; call dynptr_from_mem; r1 = r10;"
        " r1 += -64; r2 = 8; r3 = r10; r3 += -56; r4 = 0; r5 = 0; call dynptr_read; r4 = *(u64 *)(r10 - 64);"
        f" {AGAIN}"
    )


def locked_value(writer: Writer) -> str:
    """A value that is changed under its lock."""
    behind = writer.label()
    given = _mostly(writer, "r1 = r9; r1 += 8; call spin_unlock")
    return (
        f"{_KEY}; r1 = map[guarded] ll; call map_lookup_elem; if r0 == 0 goto {behind}; *(u64 *)(r10 - 24) = r9;"
        f" r9 = r0; r1 = r0; r1 += 8; call spin_lock; *(u64 *)(r9 + {_mostly(writer, '0', '4')}) = 5; {given};"
        f" r9 = *(u64 *)(r10 - 24); {behind}: {_NO_ANSWER}"
    )


def bytes_of_frame(writer: Writer) -> str:
    """Bytes of the packet, loaded to the stack; their number may come from data."""
    size = writer.pick.choice(("r4 = 8", "r4 = 16", f"r4 = r3; r4 &= {writer.pick.choice((7, 15, 31))}"))
    return (
        f"{size}; r1 = r6; r2 = r{writer.pick.choice((2, 3))}; r3 = r10; r3 += -16; call xdp_load_bytes; {AGAIN};"
        f" r4 = *(u{writer.pick.choice((8, 32))} *)(r10 - 16)"
    )


def moved_packet(writer: Writer) -> str:
    """The packet begins or ends elsewhere, and pointers are loaded anew."""
    helper = writer.pick.choice(("xdp_adjust_head", "xdp_adjust_tail", "xdp_adjust_meta"))
    distance = writer.pick.choice((-4, 0, 4, 8))
    return f"r1 = r6; r2 = {distance}; call {helper}; {_mostly(writer, _MOVED)}; {AGAIN}"


def other_program(writer: Writer) -> str:
    """A tail call; behind it nothing happened."""
    index = writer.pick.choice(("r3 = 1", "r3 = 9", "r3 = *(u64 *)(r10 - 8)"))
    return f"r1 = r6; {index}; r2 = map[programs] ll; call tail_call; {_NO_ANSWER}"


def called_function(writer: Writer) -> str:
    """A function of the program, with the packet, the stack and numbers."""
    name = writer.function("r7 = r1; r8 = r2; r6 = r3; r9 = r4; r3 = r5; r2 = r5; *(u64 *)(r10 - 8) = r5;"
                           " *(u64 *)(r10 - 16) = 9; r4 = 3; r5 = r7; r1 = r6", "r0 = r3; exit")  # fmt: skip
    memory = writer.pick.choice(("r4 = r9", "r4 = r10; r4 += -16"))
    return f"r1 = r7; r2 = r8; r3 = r6; r5 = *(u64 *)(r10 - 8); {memory}; call {name}; {AGAIN}"


def loop_by_helper(writer: Writer) -> str:
    """bpf_loop, with a function that changes the caller's stack, or a number that is passed along."""
    name = writer.function("r7 = r2; r8 = r2; r6 = r2; r9 = r2; r3 = r1; r2 = r1; *(u64 *)(r10 - 8) = r1;"
                           " *(u64 *)(r10 - 16) = 9; r4 = 3; r5 = r2; r1 = r2",
                           writer.pick.choice(("r0 = 0; exit", "r0 = r3; r0 &= 1; exit", "r0 = r3; exit")))  # fmt: skip
    iterations = writer.pick.choice(("r1 = 4", "r1 = 100", "r1 = r2; r1 &= 1023"))
    return f"{iterations}; r2 = func {name} ll; r3 = r10; r3 += -16; r4 = 0; call loop; {AGAIN}"


def bounded_sum(writer: Writer) -> str:
    """A copy of a number, moved, or half of it from the stack, is compared; the number is an index."""
    behind, distance, most = writer.label(), writer.pick.choice((-2, 1, 4)), writer.pick.choice((7, 15))
    copy = writer.pick.choice((
        f"r0 = r4; r0 += {distance}; {_mostly(writer, f'if r4 > {most} goto {behind}')};"
        f" if r0 > {most + distance} goto {behind}",
        f"*(u64 *)(r10 - 8) = r4; r0 = *(u32 *)(r10 - 8); if r0 > {most} goto {behind}; r4 = *(u64 *)(r10 - 8)",
        f"*(u64 *)(r10 - 8) = r4; *(u32 *)(r10 - 16) = r4; r0 = *(u32 *)(r10 - 16); if r0 > {most} goto {behind};"
        " r4 = *(u64 *)(r10 - 8); *(u64 *)(r10 - 16) = 5",
    ))  # fmt: skip
    return (
        f"w4 = w{writer.pick.choice((2, 3))}; {copy}; r1 = r9; r1 += r4; r0 = *(u8 *)(r1 + 0); {behind}:"
        f" *(u64 *)(r10 - 8) = 1; {_NO_ANSWER}"
    )


IDIOMS: tuple[Idiom, ...] = (
    bounded_sum,
    counted_loop,
    moving_loop,
    loop_by_data,
    loop_over_packet,
    value_in_map,
    map_in_map,
    record,
    reserved_dynptr,
    dynptr_of_value,
    locked_value,
    bytes_of_frame,
    moved_packet,
    other_program,
    called_function,
    loop_by_helper,
)
