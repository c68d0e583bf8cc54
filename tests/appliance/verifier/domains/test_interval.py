"""Every operation on intervals, against brute force over all intervals of three bits."""

from __future__ import annotations

import itertools

import pytest

from appliance.ebpf.isa.opcodes import AluOp
from appliance.verifier.domains import interval
from appliance.verifier.domains.interval import Bounds
from tests.appliance.verifier import concrete

WIDTH = 3
NUMBERS = range(1 << WIDTH)


def members(b: Bounds) -> list[int]:
    return [n for n in NUMBERS if b.umin <= n <= b.umax and b.smin <= interval.signed(WIDTH, n) <= b.smax]


def every_bounds() -> list[Bounds]:
    """Every settled pair of intervals."""
    unsigned = list(itertools.combinations_with_replacement(NUMBERS, 2))
    signed = list(itertools.combinations_with_replacement(range(-4, 4), 2))
    return sorted(
        {b for (a, z), (s, t) in itertools.product(unsigned, signed) if (b := interval.settle(WIDTH, a, z, s, t))}
    )


ALL = every_bounds()


@pytest.mark.parametrize("op", AluOp, ids=lambda op: op.value)
def test_a_result_holds_every_concrete_result(op: AluOp) -> None:
    operation = interval.OPERATIONS[op]
    results = {(x, y): concrete.operate(op, WIDTH, x, y) for x in NUMBERS for y in NUMBERS}
    held = {b: members(b) for b in ALL}
    for a in ALL:
        for b in ALL:
            found = set(members(operation(WIDTH, a, b)))
            assert all(results[x, y] in found for x in held[a] for y in held[b]), (a, b)


def test_the_table_of_operations_is_total() -> None:
    assert set(interval.OPERATIONS) == set(AluOp)


def test_settling_loses_nothing_and_finds_emptiness() -> None:
    for a, z in itertools.combinations_with_replacement(NUMBERS, 2):
        for s, t in itertools.combinations_with_replacement(range(-4, 4), 2):
            before = members(Bounds(a, z, s, t))
            after = interval.settle(WIDTH, a, z, s, t)
            assert (members(after) if after is not None else []) == before


def test_join_and_meet() -> None:
    for a, b in itertools.product(ALL[::3], ALL):
        joined, met = interval.join(a, b), interval.meet(WIDTH, a, b)
        assert set(members(joined)) >= set(members(a)) | set(members(b))
        assert set(members(met) if met else []) == set(members(a)) & set(members(b))
        assert a.includes(b) <= (set(members(a)) >= set(members(b)))


@pytest.mark.parametrize("low", range(-20, 20, 3))
def test_wrap_holds_every_cut_integer(low: int) -> None:
    for high in range(low, low + 20):
        found = members(interval.wrap(WIDTH, low, high))
        assert {n % 8 for n in range(low, high + 1)} <= set(found)
