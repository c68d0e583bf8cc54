"""`stages:` of a document: what is wrong with one is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import RuleSetRefused, load_rule_set
from tests.capabilities import requires
from tests.stages import build_stage

_STAGE = (
    '#include "stage.h"\nSTAGE(check) { return frame ? NEXT : XDP_DROP; }\nint other(int number) { return number; }\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "check.c").write_text(_STAGE)
    build_stage(tmp_path / "check.c")
    (tmp_path / "junk.bc").write_bytes(b"junk")
    (tmp_path / "cut.bc").write_bytes((tmp_path / "check.bc").read_bytes()[:900])
    return tmp_path


def _refused(folder: Path, stages: str) -> str:
    path = folder / "rules.yaml"
    path.write_text(f"stages: [{stages}]\nrules: [{{id: known, action: drop}}]\n")
    with pytest.raises(RuleSetRefused) as caught:
        load_rule_set(path)
    return str(caught.value)


@requires("clang")
@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("{id: a, object: check.bc, program: chek}", "rules.yaml:1:45: check.bc has no stage 'chek'"),
        ("{id: a, object: check.bc, program: other}", "its stages are: check"),
        ("{id: a, object: junk.bc, program: check}", "rules.yaml:1:26: junk.bc isn't LLVM bitcode"),
        ("{id: a, object: cut.bc, program: check}", "LLVM can't read cut.bc"),
        ("{id: a, object: none.bc, program: check}", "can't read none.bc: no such file or directory"),
        ("{id: known, object: check.bc, program: check}", "rules.yaml:1:15: the id 'known' is taken"),
        ("{id: a, object: check.bc, program: check, at: end}", "before-rules"),
    ],
)
def test_a_stage_that_is_wrong_is_told_with_its_place(folder: Path, stage: str, said: str) -> None:
    assert said in _refused(folder, stage)


@requires("clang")
def test_the_same_bitcode_is_an_equal_rule_set(folder: Path) -> None:
    path = folder / "rules.yaml"
    path.write_text("stages: [{id: a, object: check.bc, program: check}]\n")
    first = load_rule_set(path)
    build_stage(folder / "check.c")
    assert load_rule_set(path).stages == first.stages
