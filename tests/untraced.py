"""`make coverage` runs the suite in parts, two side by side: these tests without the tracer, all others with it.

Under Python 3.11 a traced line costs several times what it costs otherwise. What takes long because it proves or
interprets the same lines again and again would take minutes more and cover nothing new, and what is judged against a
budget in seconds would miss it.
"""

from __future__ import annotations

import pytest

# Rooms, files and tests, by how their names begin.
UNTRACED = (
    "tests/corpus/",
    "tests/fuzz/",
    "tests/appliance/verifier/graphs/test_graphs.py",
    "tests/appliance/verifier/loops/test_induction.py",
    "tests/appliance/verifier/state/test_widen.py",
    "tests/appliance/verifier/checks/test_demands.py",
    "tests/appliance/verifier/test_budget.py",
    "tests/appliance/verifier/test_large.py",
    "tests/appliance/verifier/test_rules.py",
    "tests/appliance/verifier/test_soundness.py",
    "tests/appliance/verifier/test_cases.py::test_verdict_and_exact_demand[a loop that counts past its end]",
    "tests/appliance/verifier/test_cases.py::test_verdict_and_exact_demand[a number that was bounded is counted down",
    "tests/appliance/cli/test_exec.py::test_no_end_is_a_message",
    "tests/docs/test_rejections.py",
    "tests/integration/test_differential.py",
    "tests/integration/test_rule_cases.py",
    "tests/integration/test_syn_proxy.py",
)


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.nodeid.startswith(UNTRACED):
        item.add_marker("untraced")
