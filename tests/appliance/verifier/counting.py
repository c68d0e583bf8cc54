"""Random loops that count in every way, up and down, in registers and on the stack; many are wrong by a little.

r6 is the context, r9 a map value of 16 bytes, r7 or a cell of the stack the counter, r8 a number from the context; the
cell at -80 is a pointer into the map value that may move along.
"""

from __future__ import annotations

import random
from collections.abc import Callable

_BEGIN = (
    "r6 = r1; r2 = 5; *(u64 *)(r10 - 8) = r2; r2 = r10; r2 += -8; r1 = map[flows] ll; call map_lookup_elem; "
    "if r0 == 0 goto out; r9 = r0; r8 = *(u32 *)(r6 + 12); r7 = 0; r2 = 0; "
    + "; ".join(f"*(u64 *)(r10 - {at}) = r2" for at in range(8, 81, 8))
)
# How the counter comes to r0, and goes back.
_PLACES = (
    ("r0 = r7", "r7 = r0"),
    ("w0 = w7", "w7 = w0"),
    ("r0 = *(u64 *)(r10 - 64)", "*(u64 *)(r10 - 64) = r0"),
    ("w0 = *(u32 *)(r10 - 60)", "*(u32 *)(r10 - 60) = r0"),
)
_UP, _DOWN = ("<", "<", "!=", "<=", "s<"), (">", "!=", ">=", "s>")


def random_loop(seed: int) -> str:
    """A program with one such loop."""
    pick = random.Random(seed)
    take, put = pick.choice(_PLACES)
    width, down = pick.choice("rrw"), pick.random() < 0.3
    step = pick.choice((1, 1, 1, 2, 3))
    first, last = pick.choice((0, 0, 1, 5)), pick.randint(3, 24)
    if down:
        first, last, step = last, first, -step
    start = f"r0 = {first}" if pick.random() < 0.7 else f"r0 = *(u32 *)(r6 + 12); r0 &= 3; r0 += {first}"
    limit = f"r5 = {last}" if pick.random() < 0.6 else f"r5 = *(u32 *)(r6 + 16); r5 &= 15; r5 += {last - min(last, 15)}"
    grow = f"{take}; {_addition(pick, width, step)}; {put}"
    body = [pick.choice(_PIECES)(pick) for _ in range(pick.randint(0, 3))]
    at = pick.randint(0, len(body))
    iteration = "; ".join([*body[:at], grow, *body[at:]])
    check = f"{take}; {limit}; if {width}0 {pick.choice(_DOWN if down else _UP)} {width}5 goto top"
    pointer = f"r1 = r9; r1 += {pick.choice((0, 0, 1, 2))}; *(u64 *)(r10 - 80) = r1"
    return f"{_BEGIN}; {start}; {put}; {pointer}; top: {iteration}; {check}; out: r0 = 2; exit"


def _addition(pick: random.Random, width: str, step: int) -> str:
    """The same step in every iteration, or another one in some."""
    if pick.random() < 0.7:
        return f"{width}0 += {step}"
    other = step if pick.random() < 0.7 else 0
    name = f"grown{pick.getrandbits(32)}"
    return f"if r8 & 1 goto {name}; {width}0 += {step}; {name}: {width}0 += {other}"


def _value(pick: random.Random) -> str:
    """A byte of the map value, at the counter."""
    index = pick.choice(("r3 = r7", "r3 = *(u64 *)(r10 - 64)", "w3 = *(u32 *)(r10 - 60)"))
    return f"{index}; r2 = r9; r2 += r3; r4 = *(u8 *)(r2 {pick.randint(-2, 2):+})"


def _stack(pick: random.Random) -> str:
    """A byte of the stack, at the counter."""
    index = pick.choice(("r3 = r7", "r3 = *(u64 *)(r10 - 64)", "w3 = *(u32 *)(r10 - 60)"))
    return f"{index}; r2 = r10; r2 += r3; r4 = *(u8 *)(r2 - {pick.choice((16, 24, 25, 56))})"


def _moving(pick: random.Random) -> str:
    """A pointer that moves along."""
    bits, step = pick.choice((8, 16, 32)), pick.choice((0, 1, 1, 2))
    return f"r2 = *(u64 *)(r10 - 80); r4 = *(u{bits} *)(r2 + 0); r2 += {step}; *(u64 *)(r10 - 80) = r2"


def _inner(pick: random.Random) -> str:
    """A loop in the loop; its counter may be that of the loop around."""
    name, place = f"inner{pick.getrandbits(32)}", pick.choice(("r4", "r4", "r4", "r7"))
    return f"{place} = 0; {name}: {place} += 1; if {place} < {pick.randint(2, 40)} goto {name}"


def _written(pick: random.Random) -> str:
    """A byte somewhere on the stack, which may be the counter's."""
    place = f"r3 = r8; r3 &= {pick.choice((0, 3, 7))}; r2 = r10; r2 += -{pick.choice((16, 24, 56, 60, 64))}; r2 += r3"
    return f"{place}; r4 = 1; *(u8 *)(r2 + 0) = r4"


def _helper(pick: random.Random) -> str:
    """A helper that writes to the stack, perhaps over the counter."""
    return f"r1 = map[jobs] ll; r2 = r10; r2 += -{pick.choice((24, 40, 64, 72))}; call map_peek_elem"


def _reset(pick: random.Random) -> str:
    """The counter begins anew on some path."""
    name = f"kept{pick.getrandbits(32)}"
    return f"if r8 != {pick.choice((0, 1, 255))} goto {name}; r7 = {pick.choice((0, 1, 30))}; {name}:"


_PIECES: tuple[Callable[[random.Random], str], ...] = (
    _value,
    _value,
    _stack,
    _moving,
    _moving,
    _inner,
    _written,
    _helper,
    _reset,
)
