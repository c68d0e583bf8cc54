"""What a join lost is found, and only that is kept apart: one state per point, and partitions."""

from __future__ import annotations

import pytest

from appliance.verifier import Rejected, Verifier
from appliance.verifier.exploration.attempt import Strategy
from tests.appliance.verifier.support import MAPS, program

_PACKET = "r6 = *(u32 *)(r1 + 0); r7 = *(u32 *)(r1 + 4); r8 = *(u32 *)(r1 + 12); r0 = 2;"

PROGRAMS = {
    "a register that is set on one path": """
        r3 = 7; if r8 == 0 goto join; r3 = r10
        join: r4 = r3; if r8 == 0 goto out; *(u64 *)(r4 - 8) = 1
        out: exit
    """,
    "a register that is saved and loaded": """
        *(u64 *)(r10 - 16) = r8; r3 = 7; if r8 == 0 goto join; r3 = r10
        join: *(u64 *)(r10 - 24) = r3; r5 = r10; r5 += -24; r4 = *(u64 *)(r5 + 0)
        r2 = *(u64 *)(r10 - 16); if r2 == 0 goto out; *(u64 *)(r4 - 8) = 1
        out: exit
    """,
    "bytes of the stack that are written on one path": """
        if r8 == 0 goto join; *(u64 *)(r10 - 8) = 5
        join: if r8 == 0 goto out; r2 = r10; r2 += -8; r1 = map[flows] ll; call map_lookup_elem; r0 = 2
        out: exit
    """,
    "how much of the packet is there": """
        if r8 == 0 goto join; r2 = r6; r2 += 40; if r2 > r7 goto out
        join: if r8 == 0 goto out; r3 = *(u8 *)(r6 + 39)
        out: exit
    """,
    "the same, the pointer being loaded again": """
        r9 = r1; if r8 == 0 goto join; r2 = r6; r2 += 40; if r2 > r7 goto out
        join: if r8 == 0 goto out; r4 = *(u32 *)(r9 + 0); r3 = *(u8 *)(r4 + 39)
        out: exit
    """,
    "a distance": """
        r3 = 14; if r8 == 0 goto join; r3 = 1000
        join: if r8 != 0 goto out; r4 = r10; r4 -= r3; *(u8 *)(r4 + 0) = 1
        out: exit
    """,
    "what a called function returns and writes": """
        r1 = r10; r1 += -8; r2 = r8; call write
        if r0 == 0 goto pass; r3 = *(u64 *)(r10 - 8)
        pass: r0 = 2; exit
        write: r0 = 0; if r2 == 0 goto end; *(u64 *)(r1 + 0) = 7; r0 = 1; end: exit
    """,
    "values of different maps": """
        *(u64 *)(r10 - 8) = 0; r2 = r10; r2 += -8; if r8 == 0 goto other
        r1 = map[flows] ll; call map_lookup_elem; goto join
        other: r1 = map[counters] ll; call map_lookup_elem
        join: if r0 == 0 goto none; r3 = *(u64 *)(r0 + 0)
        none: r0 = 2; exit
    """,
}


def _verify(code: str, rounds: int) -> None:
    Verifier(MAPS, strategies=(Strategy(1, 2000, rounds=rounds),)).verify(program(f"{_PACKET} {code}"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_was_lost_is_kept_apart(name: str) -> None:
    with pytest.raises(Rejected):
        _verify(PROGRAMS[name], 0)
    _verify(PROGRAMS[name], 8)


def test_what_only_one_path_has_is_kept_apart_all_the_way_at_once() -> None:
    """Each of the joins behind would take a round of its own."""
    joins = " ".join(f"a{n}: if r9 == {n} goto a{n + 1}; r5 += {n};" for n in range(20))
    code = f"""
        r9 = *(u32 *)(r1 + 16); r5 = 0; if r8 == 0 goto a0; *(u64 *)(r10 - 8) = r10
        {joins} a20: if r8 == 0 goto out; r2 = *(u64 *)(r10 - 8); *(u64 *)(r2 - 16) = r5
        out: exit
    """
    with pytest.raises(Rejected):
        _verify(code, 0)
    _verify(code, 1)


def test_what_no_join_lost_is_refused_at_once() -> None:
    with pytest.raises(Rejected, match="none are known to be inside"):
        _verify("if r8 == 0 goto join; r2 = 1; join: r3 = *(u8 *)(r6 + 39); exit", 8)


def test_a_report_has_the_way_to_it() -> None:
    """Into the function that is called, and back; not the way on which the program ends before."""
    code = """
        r2 = 1
        call add
        if r0 == 5 goto out
        r3 = *(u8 *)(r0 + 0)
        out: exit
        add: r0 = r2; r0 += 1; exit
    """
    with pytest.raises(Rejected) as refused:
        Verifier(MAPS).verify(program(code))
    assert refused.value.report.path == (0, 1, 5, 6, 7, 2, 3)


def test_a_budget_does_not_hide_what_is_wrong() -> None:
    """The first attempt loses r3, the second one finds what is really wrong, the third one does not come to an end."""
    code = """
        r3 = 7; if r8 == 0 goto join; r3 = r10
        join: if r8 == 0 goto out; *(u64 *)(r3 - 8) = 1
        out: r3 = *(u8 *)(r6 + 39); exit
    """
    strategies = (Strategy(1, 2000), Strategy(1, 2000, rounds=8), Strategy(8, 20))
    with pytest.raises(Rejected, match="reads byte 39 past `data`"):
        Verifier(MAPS, strategies=strategies).verify(program(f"{_PACKET} {code}"))
