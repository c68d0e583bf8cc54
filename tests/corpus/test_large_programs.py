"""Large programs are accepted as Linux accepts them, and rejected if one line of them is bad."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appliance.verifier import kernel
from tests.capabilities import require, requires
from tests.corpus import large_programs as large

SAID = large.rejections()
LINUX_GIVES_UP = {("host_firewall", "to_host")}  # after a million steps: paths part at each of its rules
PROGRAMS = [(name, program) for name in large.NAMES for program in large.loaded(name, "good").programs]


@pytest.mark.parametrize(("name", "program"), PROGRAMS)
def test_the_good_one_is_accepted(name: str, program: str) -> None:
    assert large.verdict(name, "good", program) is None


@pytest.mark.parametrize("name", large.NAMES)
def test_the_bad_one_is_rejected_for_what_is_bad(name: str) -> None:
    said = {program: large.verdict(name, "bad", program) for program in large.changed(name)}
    assert said, "a bad program differs from the good one"
    assert said == SAID[name], "if that is better, run `python -m tests.corpus` and commit it"


@pytest.mark.parametrize("name", large.NAMES)
def test_linux_agrees(name: str) -> None:
    require("bpf")
    good, bad = (large.loaded(name, side) for side in ("good", "bad"))
    with kernel.kernel_maps(good.maps) as maps:
        for program, spec in good.programs.items():
            refusal = kernel.refusal(spec, maps)
            if (name, program) in LINUX_GIVES_UP:
                assert refusal is not None
                assert "processed 1000001 insns" in refusal
            else:
                assert refusal is None, program
        assert [program for program in large.changed(name) if kernel.refusal(bad.programs[program], maps) is None] == []


def test_they_are_large() -> None:
    sizes = [len(large.loaded(name, "good").programs[program].instructions) for name, program in PROGRAMS]
    assert len(large.NAMES) >= 8
    assert sum(size > 1500 for size in sizes) >= 12
    assert max(sizes) > 9000


@requires("clang 14.0.6", "llvm-strip-14")
def test_fresh_objects_have_the_same_bytes(tmp_path: Path) -> None:
    fresh = {path.name: path.read_bytes() for path in large.build(tmp_path).glob("*.o")}
    assert fresh == {path.name: path.read_bytes() for path in large.OBJECTS.glob("*.o")}
