"""Programs of one shape and of any length, in assembly: how does the verifier's time grow?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

_START = """
    r6 = *(u32 *)(r1 + 0)
    r7 = *(u32 *)(r1 + 4)
    r8 = *(u32 *)(r1 + 12)
    r9 = *(u32 *)(r1 + 16)
    r2 = r6; r2 += 64; if r2 > r7 goto out
"""
_END = "out: r0 = 2; exit"


def _straight(number: int) -> str:
    """Ten instructions without a branch: a field, a mask, a spill and its fill, arithmetic."""
    return (
        f"r2 = *(u16 *)(r6 + {number % 60}); r2 &= {number % 255 + 1}; r3 = r2; r3 <<= 2; *(u64 *)(r10 - 16) = r3;"
        f"r4 = *(u64 *)(r10 - 16); r4 += {number}; w5 = w4; w5 ^= w2; *(u32 *)(r10 - 8) = w5\n"
    )


def _branching(number: int) -> str:
    """Ten instructions, two branches that meet again, with nothing in common."""
    return (
        f"r2 = *(u8 *)(r6 + {number % 60}); r3 = 1; if r2 > {number % 200} goto a{number}; r3 = {number};"
        f"a{number}: r4 = *(u8 *)(r6 + {(number + 7) % 60}); if r4 == {number % 250} goto b{number}; r3 += 5;"
        f"b{number}: r3 &= 63; *(u64 *)(r10 - 8) = r3; w9 += w3\n"
    )


def _correlated(number: int) -> str:
    """Ten instructions: what one branch sets, the other uses."""
    return (
        f"r2 = *(u8 *)(r6 + {number % 60}); r3 = 0; r4 = 0; if r2 > {number % 200} goto a{number}; r3 = 1; r4 = r6;"
        f"a{number}: if r3 == 0 goto b{number}; r5 = *(u8 *)(r4 + {number % 60});"
        f"*(u8 *)(r10 - 1) = r5; b{number}: w9 += w3\n"
    )


def _looping(number: int) -> str:
    """Ten instructions, of which four run eight times."""
    return (
        f"r2 = 0; r3 = 0; l{number}: r4 = r6; r4 += r2; r5 = *(u8 *)(r4 + {number % 50}); r3 += r5; r2 += 1;"
        f"if r2 != 8 goto l{number}; w9 += w3; w9 &= 255\n"
    )


SHAPES: Mapping[str, Callable[[int], str]] = {
    "straight-line": _straight,
    "branching": _branching,
    "correlated": _correlated,
    "loops": _looping,
}


def shaped(shape: str, size: int) -> str:
    """A program of that shape, with about `size` instructions."""
    return _START + "".join(map(SHAPES[shape], range(size // 10))) + _END
