"""The runner of the fuzzers: bounded, reproducible, and a find is an exit status and a seed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import fuzz_aliases, fuzz_objects
from tests.fuzz.__main__ import FUZZERS, main


def test_every_fuzzer_is_in_the_table() -> None:
    assert {path.stem.removeprefix("fuzz_") for path in Path(__file__).parent.glob("fuzz_*.py")} == set(FUZZERS)


def test_a_good_run_ends_well() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "aliases", "--seconds", "0.01", "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "aliases: from seed 5"
    assert second.startswith("aliases: 500 programs, ")
    assert second.endswith(", 0 finds")


def test_a_find_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {1003, 1021}
    monkeypatch.setattr(fuzz_aliases, "judged", lambda seed: (True, "a fault" if seed in wrong else None))
    assert main(["aliases", "--seconds", "0.01", "--seed", "1000"]) >= 2
    assert "seed 1003: a fault\nseed 1021: a fault\n" in capsys.readouterr().out


def test_a_seed_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is mutated, and how, depends on nothing but the seed of that one file."""
    seen: list[bytes] = []

    def survives(data: bytes) -> bool:
        seen.append(data)
        return True

    monkeypatch.setattr(fuzz_objects, "survives", survives)
    fuzz_objects.main(0, 40, 3)
    fuzz_objects.main(0, 42, 1)
    assert seen[2] == seen[3]
    assert len(set(seen[:3])) == 3


def test_a_whole_run_judges_so_many_at_least(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_aliases.main(0, 0, 600) == 0
    assert capsys.readouterr().out.startswith("aliases: 1000 programs, ")


def test_a_fuzzer_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lifes"])
    assert ended.value.code == 2
    assert (
        "no fuzzer lifes; there are aliases, engines, lives, objects, rules, tables, verifier"
        in capsys.readouterr().err
    )
