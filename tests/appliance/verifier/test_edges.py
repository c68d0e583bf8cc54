"""Every operation on numbers of 64 bits, near every edge: small sets around 0, 2**31, 2**32, 2**63 and 2**64.

Each set is the join of two numbers at most three apart; every result must hold what each member gives.
"""

from __future__ import annotations

import itertools

import pytest

from appliance.ebpf.isa.opcodes import AluOp, Condition
from appliance.verifier.domains import comparisons, scalar
from appliance.verifier.domains.scalar import Scalar
from appliance.verifier.domains.tnum import ALL
from tests.appliance.verifier import concrete
from tests.appliance.verifier.domains.test_comparisons import TNUMS, with_bits

EDGES = (0, 7, 1 << 31, 1 << 32, 1 << 63)


def sets_around(edge: int) -> list[tuple[Scalar, list[int]]]:
    numbers = [(edge + distance) & ALL for distance in (-2, -1, 0, 1)]
    pairs = itertools.combinations_with_replacement(numbers, 2)
    return [(scalar.join(*map(scalar.constant, pair)), sorted({*pair})) for pair in pairs]


SETS = [held for edge in EDGES for held in sets_around(edge)]
SMALL = [(with_bits(bits), [n for n in range(8) if bits.contains(n)]) for bits in TNUMS]


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("op", AluOp, ids=lambda op: op.name)
def test_arithmetic(op: AluOp, width: int) -> None:
    for (a, xs), (b, ys) in (*itertools.product(SETS, SETS), *itertools.product(SMALL, SMALL)):
        result = scalar.operate(op, width, a, b)
        assert all(result.contains(concrete.operate(op, width, x, y)) for x in xs for y in ys), (a, b)


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("condition", Condition, ids=lambda condition: condition.name)
def test_comparisons(condition: Condition, width: int) -> None:
    for (a, xs), (b, ys) in itertools.product(SETS, SETS):
        refined = {holds: comparisons.refine(condition, holds, width, a, b) for holds in (True, False)}
        for x, y in itertools.product(xs, ys):
            found = refined[concrete.compare(condition, width, x, y)]
            assert found is not None, (a, b)
            assert found[0].contains(x), (a, b)
            assert found[1].contains(y), (a, b)


def test_one_number() -> None:
    """Casts, parts as they lie in memory, and negation."""
    for a, xs in (*SETS, *SMALL):
        for x in xs:
            for skip, size in ((0, 1), (1, 1), (3, 1), (7, 1), (0, 2), (2, 2), (6, 2), (0, 4), (4, 4), (0, 8)):
                assert scalar.extract(a, skip, size).contains(x >> 8 * skip & (1 << 8 * size) - 1)
                assert scalar.truncate(a, size).contains(x & (1 << 8 * size) - 1)
            for bits, width in itertools.product((8, 16, 32), (32, 64)):
                extended = concrete.signed(bits, x & (1 << bits) - 1) & (1 << width) - 1
                assert scalar.sign_extend(a, bits, width).contains(extended)
            for bits in (16, 32, 64):
                low = (x & (1 << bits) - 1).to_bytes(bits // 8, "little")
                assert scalar.swap_bytes(a, bits).contains(int.from_bytes(low, "big"))
            assert scalar.negate(64, a).contains(-x & ALL)
            assert scalar.negate(32, a).contains(-x & scalar.LOW)


def test_join_meet_and_includes() -> None:
    for (a, xs), (b, ys) in itertools.product(SETS, SETS):
        joined, met = scalar.join(a, b), scalar.meet(a, b)
        assert joined.includes(a)
        assert joined.includes(b)
        common = {n for n in {*xs, *ys} if a.contains(n) and b.contains(n)}
        assert all(met is not None and met.contains(n) for n in common), (a, b)
        if met is not None:
            assert a.includes(met)
            assert b.includes(met)
        if a.includes(b):
            assert all(a.contains(y) for y in ys)
        assert scalar.join(b, a) == joined
