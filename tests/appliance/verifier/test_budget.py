"""One budget goes through every pass: what no program may make long is not exploration alone."""

from __future__ import annotations

from functools import partial

import pytest

from appliance.ebpf.isa.assembler import assemble
from appliance.verifier import Rejected, Verifier
from appliance.verifier import budget as budgets
from appliance.verifier.budget import VISITS_PER_STEP, Budget, BudgetSpent
from appliance.verifier.control_flow import cfg, liveness, wto
from appliance.verifier.reports.rejections import Rejection
from tests.appliance.verifier.support import MAPS, program


def nested(loops: int) -> str:
    """So many loops, each in the one before it."""
    heads = "".join(f"l{n}: r0 += 0\n" for n in range(loops))
    ends = "".join(f"if r0 > {n + 1} goto l{n}\n" for n in reversed(range(loops)))
    return f"r0 = 0\n{heads}{ends}r0 = 2\nexit\n"


def test_loops_that_stand_too_deep_in_each_other_are_answered_in_time() -> None:
    """16,000 of them would take minutes to be put in order. Steps alone count here: they are what takes the time."""
    spec = program(nested(16_000))
    budget = Budget.of(len(spec.instructions))
    budget.clock = lambda: budget.began
    steps = budget.steps
    with pytest.raises(Rejected) as refused:
        Verifier(MAPS, budget=lambda _: budget).verify(spec)
    assert refused.value.report.kind is Rejection.BUDGET
    assert "stand too deep in each other" in refused.value.report.demand
    assert budget.spent < 1.1 * steps


def test_loops_as_deep_as_people_write_them_are_put_in_order_for_nothing() -> None:
    budget = Budget()
    wto.weak_topological_order(cfg.build(assemble(nested(20)), budget), budget)
    assert budget.spent < 100


@pytest.mark.parametrize("name", ["cfg", "liveness", "wto"])
def test_each_pass_before_the_exploration_spends(name: str) -> None:
    spec = program(nested(50))
    graph = cfg.build(spec.instructions, Budget())
    passes = {
        "cfg": partial(cfg.build, spec.instructions),
        "liveness": partial(liveness.live_at_blocks, spec.instructions, graph, {}, {}),
        "wto": partial(wto.weak_topological_order, graph),
    }
    budget = Budget()
    passes[name](budget)
    assert budget.spent > 0
    with pytest.raises(BudgetSpent, match="takes more than 0 steps"):
        passes[name](Budget(0))


def test_visits_add_up_to_steps() -> None:
    budget = Budget()
    for _ in range(3 * VISITS_PER_STEP - 1):
        budget.visit(1)
    assert budget.spent == 2
    budget.visit(1)
    assert budget.spent == 3


def test_a_report_has_a_reserve_and_no_more() -> None:
    budget = Budget(10, clock=lambda: 0.0)
    with pytest.raises(BudgetSpent):
        budget.spend(11)
    assert not budget.affords(1)
    budget.open_reserve()
    assert budget.affords(budgets.RESERVED_STEPS)
    assert not budget.affords(1)


def test_seconds_end_a_pass_and_a_report() -> None:
    ticks = iter((0.0, 1.0, 5.0, 5.0, 5.0, 9.0))
    budget = Budget(seconds=4.0, clock=lambda: next(ticks))
    budget.spend(1)
    with pytest.raises(BudgetSpent, match="takes more than 4 seconds"):
        budget.spend(1)
    budget.open_reserve()
    assert budget.affords(1)
    assert not budget.affords(1)
