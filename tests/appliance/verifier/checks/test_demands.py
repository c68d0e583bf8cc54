"""Every place that raises a Violation has a case with its words: in YAML, as a typed pair, or as ELSEWHERE says."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance import verifier
from appliance.ebpf.platform import PLATFORMS
from appliance.verifier import Rejected, Verifier
from appliance.verifier.reports import report
from tests.appliance.verifier.checks.test_typed import PAIRS, demand, few_types
from tests.appliance.verifier.support import KERNEL_MAPS, MAPS, load_cases

ROOM = Path(verifier.__file__).parent
# What cases in assembly don't show: the file, the beginning of its words in the source, and where it is tested.
ELSEWHERE = {
    ("exploration/callees.py", "what"): "tests/appliance/cli/test_verify_output.py: it needs types of a kernel",
    ("exploration/explore.py", "f'{spent}; {_TANGLED}'"): "test_budget.py: it takes thousands of loops",
    ("checks/kernel_structures.py", "f\"needs the kernel's `{name}`, and"): "test_kernel_structures.py: damaged types",
    (
        "checks/kernel_structures.py",
        "f\"needs the kernel's `{name}`, which",
    ): "test_kernel_structures.py: the types lack something",
    (
        "checks/kernel_structures.py",
        "f'reads a `{pointer.type.name}`, whose",
    ): "test_kernel_structures.py: the types are damaged",
    ("verifier.py", "'has no instructions'"): "test_verifier.py: no assembly",
    ("verifier.py", "'jumps out of the program'"): "test_verifier.py: the assembler knows labels only",
    ("verifier.py", "f'has {slots} slots"): "tests/docs/test_rejections.py: it takes a million instructions",
    ("verifier.py", "what"): "tests/appliance/api/test_object.py: it needs an object",
}


class Site(NamedTuple):
    """A call in the source that makes a Violation, whose words are the argument `words`."""

    file: str
    first: int
    last: int
    words: str

    def is_in(self, places: set[tuple[str, int]]) -> bool:
        return any((self.file, line) in places for line in range(self.first, self.last + 1))

    @property
    def row(self) -> tuple[str, str] | None:
        """The row of ELSEWHERE about it."""
        rows = ((file, words) for file, words in ELSEWHERE if self.file == file and self.words.startswith(words))
        return next(rows, None)


def sites() -> Iterator[Site]:
    """Where this room calls `Violation(kind, words, …)`, or a method `refuse(…)` that does."""
    for path in sorted(ROOM.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", None))
            if name in ("Violation", "refuse"):
                words = ast.unparse(node.args[1 if name == "Violation" else 0]) if node.args else ""
                yield Site(path.relative_to(ROOM).as_posix(), node.lineno, node.end_lineno or node.lineno, words)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """Files and lines of this room that made a Violation, or called what made one."""
    found: set[tuple[str, int]] = set()
    make = report.Violation.__init__

    def watched(violation: report.Violation, *arguments: object, **named: object) -> None:
        frame = sys._getframe(1)
        while frame is not None and (path := Path(frame.f_code.co_filename)).is_relative_to(ROOM):
            found.add((path.relative_to(ROOM).as_posix(), frame.f_lineno))
            frame = frame.f_back  # type: ignore[assignment]
        make(violation, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(report.Violation, "__init__", watched)
    return found


def test_every_demand_has_a_case(places: set[tuple[str, int]]) -> None:
    for case in load_cases():
        if case.rejects is not None:
            with pytest.raises(Rejected):
                Verifier({**MAPS, **KERNEL_MAPS}, PLATFORMS[case.platform]).verify(case.spec())
    for pair in PAIRS:
        demand(pair, few_types(), bad=True)
    without = [site for site in sites() if not site.is_in(places)]
    assert [site for site in without if site.row is None] == [], "write a case, or take it out"
    assert {site.row for site in without} == set(ELSEWHERE), "what has a case needs no row"
