"""Loops whose iterations are counted instead of walked: what is accepted, what is not, and that it ends."""

from __future__ import annotations

import random

import pytest

from appliance.verifier import Rejected, Verifier
from appliance.verifier.budget import Budget
from appliance.verifier.exploration.attempt import Strategy
from tests.appliance.verifier.counting import random_loop
from tests.appliance.verifier.support import MAPS, program
from tests.corpus.hostile import faults

# Counted from the second iteration on, and never walked instead.
COUNTED = (Strategy(1, 4_000, walked=1), Strategy(8, 8_000, walked=1))
PROGRAMS = 400


@pytest.mark.parametrize("part", range(4))
def test_accepted_random_loops_run_without_a_fault(part: int) -> None:
    verifier, accepted = Verifier(MAPS, strategies=COUNTED, budget=lambda _: Budget(16_000)), 0
    for seed in range(part * PROGRAMS // 4, (part + 1) * PROGRAMS // 4):
        spec = program(random_loop(seed))
        try:
            verifier.verify(spec)
        except Rejected:
            continue
        accepted += 1
        assert not list(faults(spec, MAPS, random.Random(seed), 8)), seed
    assert accepted > PROGRAMS // 4 // 8


FOUND = (
    "r6 = r1; r2 = 5; *(u64 *)(r10 - 8) = r2; r2 = r10; r2 += -8; r1 = map[flows] ll; call map_lookup_elem; "
    "if r0 == 0 goto out; r9 = r0; r7 = 0; r8 = r9; "
)
END = " out: r0 = 2; exit"
PACKET = "r6 = r1; r7 = *(u32 *)(r1 + 0); r8 = *(u32 *)(r1 + 4); r9 = 0; r2 = r7; r2 += 99; if r2 > r8 goto out; "

# As many iterations as nobody would walk, or as no walk could tell.
ENDING = {
    "up to a constant": "r2 = 0; top: r2 += 1; if r2 < 1000000 goto top;",
    "until it is a constant": "r2 = 0; top: r2 += 1; if r2 != 1000000 goto top;",
    "in threes": "r2 = 0; top: r2 += 3; if r2 != 999999 goto top;",
    "in ones or twos": "r3 = *(u32 *)(r1 + 12); r2 = 0; top: r2 += 1; if r3 & 1 goto one; r2 += 1; "
    "one: if r2 < 99999 goto top;",
    "down to zero": "r2 = 1000000; top: r2 += -1; if r2 != 0 goto top;",
    "down in 32 bits": "w2 = 100000; top: w2 -= 1; if w2 s> 0 goto top;",
    "on the stack": "r2 = 0; *(u64 *)(r10 - 8) = r2; top: r2 = *(u64 *)(r10 - 8); r2 += 1; *(u64 *)(r10 - 8) = r2; "
    "if r2 < 99999 goto top;",
    "in half a cell": "r2 = 0; *(u32 *)(r10 - 8) = r2; top: w2 = *(u32 *)(r10 - 8); r2 += 1; *(u32 *)(r10 - 8) = r2; "
    "w2 = *(u32 *)(r10 - 8); if w2 < 99999 goto top;",
    "up to a number from the context": "r3 = *(u32 *)(r1 + 12); r3 &= 65535; r2 = 0; "
    "top: if r2 >= r3 goto out; r2 += 1; goto top;",
    "loops in a loop": "r2 = 0; top: r3 = 0; inner: r3 += 1; if r3 < r2 goto inner; r2 += 1; if r2 < 999 goto top;",
    "a pointer along with it": FOUND + "top: r4 = *(u8 *)(r8 + 0); r8 += 1; r7 += 1; if r7 != 16 goto top;",
    "a pointer into the packet": PACKET + "top: r4 = *(u8 *)(r7 + 0); r7 += 1; r9 += 1; if r9 < 99 goto top;",
}

# Each is one of those with something wrong.
WRONG = {
    "one past the end": (
        FOUND + "top: r4 = *(u8 *)(r8 + 0); r8 += 1; r7 += 1; if r7 != 17 goto top;",
        "reads byte 16 of a value of map `flows`, which has 16 bytes",
    ),
    "a pointer that is faster": (
        FOUND + "top: r4 = *(u8 *)(r8 + 0); r8 += 2; r7 += 1; if r7 != 16 goto top;",
        "reads byte 16 of a value of map `flows`, which has 16 bytes",
    ),
    "past the packet's known bytes": (
        PACKET + "top: r4 = *(u8 *)(r7 + 0); r7 += 1; r9 += 1; if r9 < 100 goto top;",
        "reads byte 99 past `data`, but only 99 bytes are known to be inside on this path",
    ),
    "it jumps over the end": ("r2 = 0; top: r2 += 3; if r2 != 1000000 goto top;", "takes more than"),
    "one path does not count": (
        "r3 = *(u32 *)(r1 + 12); r2 = 0; top: if r3 & 1 goto one; r2 += 1; one: if r2 < 99999 goto top;",
        "takes more than",
    ),
    "it is set back on the stack": (
        "r3 = r10; r3 += -8; r2 = 0; *(u64 *)(r10 - 8) = r2; top: r2 = *(u64 *)(r10 - 8); r2 += 1; "
        "*(u64 *)(r10 - 8) = r2; if r2 != 500 goto on; r4 = 100; *(u64 *)(r3 + 0) = r4; on: if r2 < 9999 goto top;",
        "takes more than",
    ),
    "a pointer is lost in a late iteration": (
        FOUND + "top: r4 = *(u8 *)(r8 + 0); r7 += 1; if r7 != 20 goto on; r8 = 0; on: if r7 < 40 goto top;",
        "reads memory through r8, which is no pointer but a number (0)",
    ),
    "too many iterations together": (
        "r2 = 0; top: r3 = 0; inner: r3 += 1; if r3 < r2 goto inner; r2 += 1; if r2 < 9999 goto top;",
        "takes more than",
    ),
    "it wraps around": ("w2 = 0; top: w2 += 1; if w2 <= 4294967295 goto top;", "takes more than"),
    "it is set back": (
        "r6 = *(u32 *)(r1 + 12); r2 = 0; top: r2 += 1; if r2 != 500 goto on; r2 = 100; on: if r2 < 99999 goto top;",
        "takes more than",
    ),
}


@pytest.mark.parametrize("code", ENDING.values(), ids=ENDING)
def test_counted(code: str) -> None:
    Verifier(MAPS, strategies=(Strategy(1, 4_000, walked=4),)).verify(program(code + END))


@pytest.mark.parametrize(("code", "demand"), WRONG.values(), ids=WRONG)
def test_not_counted(code: str, demand: str) -> None:
    with pytest.raises(Rejected) as refused:
        Verifier(MAPS, strategies=(Strategy(1, 4_000, walked=4),), budget=lambda _: Budget(8_000)).verify(
            program(code + END)
        )
    assert refused.value.report.demand.startswith(demand)


def test_a_pointer_that_died_in_the_iteration_is_not_followed() -> None:
    """The packet moves behind the step: whatever was added to the pointer, the next iteration has none."""
    code = (
        "r6 = r1; r9 = 0; r7 = *(u32 *)(r1 + 0); top: r7 += 1; r9 += 1; if r9 != 20 goto on; "
        "r1 = r6; r2 = 0; call xdp_adjust_tail; on: if r9 < 40 goto top;"
    )
    with pytest.raises(Rejected, match="r7, which holds nothing that may be read on this path"):
        Verifier(MAPS, strategies=(Strategy(1, 4_000, walked=4),)).verify(program(code + END))


def test_what_loses_by_counting_is_walked() -> None:
    """Joined, nothing tells that the flag is set when the loop ends."""
    code = (
        "r2 = 0; r3 = 0; top: r2 += 1; if r2 != 40 goto on; r3 = r10; r3 += -8; *(u64 *)(r10 - 8) = r2; "
        "on: if r2 < 50 goto top; r4 = *(u64 *)(r3 + 0);"
    )
    Verifier(MAPS).verify(program(code + END))
    with pytest.raises(Rejected):
        Verifier(MAPS, strategies=(Strategy(1, 4_000),)).verify(program(code + END))
