"""What is compiled loads in Linux: its verifier takes every program, and libbpf every map."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from appliance.rules.sockets import compile_guard_rules, load_guard_rules
from tests.bpffs import BPFFS
from tests.capabilities import requires

CASES = Path(__file__).parents[3] / "cases" / "guard" / "rules.yaml"


@requires("root", "bpf", "bpffs", "bpftool")
@pytest.mark.parametrize("path", [CASES, Path("configs/guard.yaml")], ids=lambda path: path.stem)
def test_an_object_loads_in_the_kernel(path: Path, tmp_path: Path) -> None:
    compiled = compile_guard_rules(load_guard_rules(path))
    (tmp_path / "guard.o").write_bytes(compiled.object)
    home = BPFFS / f"tidegate-test-guard-{os.getpid()}"
    line = ["bpftool", "prog", "loadall", str(tmp_path / "guard.o"), str(home)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    try:
        assert done.returncode == 0, done.stderr
        assert {each.name for each in home.iterdir()} == {program.name for program in compiled.programs}
    finally:
        for each in home.iterdir() if home.exists() else ():
            each.unlink()
        if home.exists():
            home.rmdir()
