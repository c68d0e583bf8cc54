"""What this machine proves and compiles with."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import __version__
from appliance.box.proving import environment
from appliance.box.proving.environment import processor, runs_on, versions


def test_versions_say_what_this_program_is() -> None:
    said = versions()
    number, _, source = said["tidegate"].partition("+")
    assert number == __version__
    assert len(source) == 16
    assert int(said["llvm"].split(".")[0]) >= 15
    assert said["python"].startswith("3.")


def test_another_source_is_another_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def versions_of(text: str) -> str:
        (tmp_path / "verifier.py").write_text(text)
        return versions.__wrapped__()["tidegate"]

    monkeypatch.setattr(environment.hooks, "__path__", [str(tmp_path)])
    assert versions_of("a = 1\n") == versions_of("a = 1\n")
    assert versions_of("a = 1\n") != versions_of("a = 2\n")


@pytest.mark.parametrize(
    ("code", "machine", "runs"),
    [
        ("znver4 +sse2,+avx2,-avx512f", "znver4 +sse2,+avx2,-avx512f", True),
        ("znver3 +sse2,-avx2", "znver4 +sse2,+avx2", True),
        ("znver4 +sse2,+avx2", "znver3 +sse2,-avx2", False),
        ("generic ", "znver4 +sse2", True),
    ],
)
def test_code_runs_where_there_is_everything_that_it_uses(code: str, machine: str, runs: bool) -> None:
    assert runs_on(code, machine) is runs


def test_code_of_this_machine_runs_here() -> None:
    assert runs_on(processor(), processor())
