"""The runner of the benchmarks: one that fails costs its own figures only, and the exit status says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.datapath.test_run import MOST_REPEATS
from tests.bench import __main__ as runner
from tests.bench.bench_lookups import _in_window, _shares
from tests.bench.figures import Bench, Figure
from tests.bench.registry import BENCHMARKS


def good(bench: Bench) -> Iterator[Figure]:
    yield Figure("a good one", 2.0, "ns")


def half(bench: Bench) -> Iterator[Figure]:
    yield Figure("what came before", 1.0, "ns")
    raise LookupError("[no] such kernel")


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "BENCHMARKS", {"half": half, "good": good})
    monkeypatch.setattr(runner, "build_tools", lambda folder: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)


def test_every_benchmark_has_its_row() -> None:
    files = {path.stem.removeprefix("bench_") for path in Path("tests/bench").glob("bench_*.py")}
    assert BENCHMARKS.keys() == files
    assert all(main.__module__ == f"tests.bench.bench_{name}" for name, main in BENCHMARKS.items())


@pytest.mark.usefixtures("benchmarks")
def test_a_failure_costs_no_other_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["--json", str(tmp_path / "figures.json")]) == 1
    printed = capsys.readouterr()
    assert printed.out.index("what came before") < printed.out.index("a good one")
    assert printed.out.endswith("half: failed: LookupError: [no] such kernel\n")
    assert "Traceback" in printed.err
    document = json.loads((tmp_path / "figures.json").read_text())
    assert [figure["name"] for figure in document["figures"]] == ["what came before", "a good one"]
    assert document["failed"] == {"half": "LookupError: [no] such kernel"}


@pytest.mark.usefixtures("benchmarks")
def test_without_a_failure_the_status_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["good"]) == 0
    assert "failed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("runs", "expected"),
    [(0.3, (1, 1)), (1000.9, (1, 1000)), (MOST_REPEATS, (1, MOST_REPEATS)), (2.5 * MOST_REPEATS, (3, 83_333_333))],
)
def test_a_call_is_asked_for_no_more_runs_than_it_takes(runs: float, expected: tuple[int, int]) -> None:
    assert _shares(runs) == expected


@pytest.mark.parametrize("nanoseconds", [0.0, 0.4, 50.0])
def test_a_fast_machine_is_measured_in_several_calls(nanoseconds: float) -> None:
    asked: list[int] = []

    def run(program: str, repeat: int) -> tuple[int, float]:
        asked.append(repeat)
        return 2, nanoseconds

    assert _in_window(run, "keys", 0.25)() == pytest.approx(nanoseconds)
    assert max(asked) <= MOST_REPEATS
