"""`tidegate check` and `tidegate compile`, of a guard's rules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from appliance.ebpf.objects.objects import load_object_file
from tests.appliance.cli.conftest import ROOT, Tidegate

EXAMPLE = ROOT / "configs" / "guard.yaml"
CASES = ROOT / "tests" / "cases" / "guard" / "rules.yaml"
PROGRAMS = [f"cgroup/{op}{version}" for op in ("bind", "connect", "sendmsg") for version in (4, 6)]


def test_check_says_which_programs_it_becomes(tidegate: Tidegate) -> None:
    said = tidegate("check", EXAMPLE)
    assert (said.status, said.err) == (0, "")
    assert re.fullmatch(
        re.escape(f"{EXAMPLE}: good. {', '.join(PROGRAMS)}\n")
        + r"  5 rules, \d+ instructions; verified in \d+ ms, compiled in \d+ ms\n",
        said.out,
    )
    found = json.loads(tidegate("check", EXAMPLE, "--json").out)
    assert (found["programs"], found["rules"]) == (PROGRAMS, 5)


def test_check_refuses_a_mistake_at_its_place(tidegate: Tidegate, tmp_path: Path) -> None:
    path = tmp_path / "guard.yaml"
    path.write_text("guard: {rules: [{id: a, match: {prot: tcp}, action: deny}]}\n")
    said = tidegate("check", path)
    assert said.status == 1
    assert f"{path}:1:33: a rule about sockets has no field 'prot'\n  hint: did you mean 'proto'?" in said.err


def test_a_guard_has_no_frame_to_explain(tidegate: Tidegate) -> None:
    said = tidegate("check", EXAMPLE, "--explain", "00")
    assert said.status == 2
    assert "--explain is about frames, and a guard judges calls" in said.err


def test_compile_writes_the_object(tidegate: Tidegate, tmp_path: Path) -> None:
    out = tmp_path / "guard.o"
    said = tidegate("compile", EXAMPLE, "-o", out)
    assert (said.status, said.err, said.out) == (0, "", f"{out}: {out.stat().st_size} bytes, 5 rules\n")
    assert [program.section for program in load_object_file(out).programs.values()] == PROGRAMS


def test_compile_refuses_what_only_a_guard_can_tell(tidegate: Tidegate, tmp_path: Path) -> None:
    out = tmp_path / "guard.o"
    said = tidegate("compile", CASES, "-o", out)
    assert said.status == 1
    assert f"{CASES}:14:7: rule 'moved' matches exe, which no helper of a program tells" in said.err
    assert not out.exists()


@pytest.mark.parametrize("filled", [False, True])
def test_a_large_set_travels_beside_the_object(tidegate: Tidegate, tmp_path: Path, filled: bool) -> None:
    path = tmp_path / "guard.yaml"
    ports = ", ".join(map(str, range(1, 200, 2)))
    path.write_text(f"guard: {{rules: [{{id: a, match: {{port: [{ports}]}}, action: deny}}]}}\n")
    options = ["--fill", str(tmp_path / "maps")] if filled else []
    said = tidegate("compile", path, "-o", tmp_path / "guard.o", *options)
    assert said.status == 0
    assert ("whoever loads it must put 4 entries into map `bits_" in said.err) is not filled
    assert [each.name[:5] for each in (tmp_path / "maps").iterdir()] == ["bits_"] if filled else True
