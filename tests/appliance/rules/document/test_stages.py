"""`stages:` of a document: what is wrong with one is said with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.rules import RuleSetRefused, load_rule_set
from tests.capabilities import requires
from tests.stages import build_stage

_STAGE = """\
#include "stage.h"
STAGE(check) { return frame ? NEXT : XDP_DROP; }
int other(int number) { return number; }
"""
_WANTING = """\
#include "stage.h"
extern const __u16 limit;
STAGE(check) { return frame && frame->way < limit; }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "check.c").write_text(_STAGE)
    build_stage(tmp_path / "check.c")
    (tmp_path / "limited.c").write_text(_WANTING)
    build_stage(tmp_path / "limited.c")
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
        ("{id: a, object: check.bc, program: check, constants: {x: 1}}", "rules.yaml:1:64: check.bc wants no constant"),
        ("{id: a, object: check.bc, program: check, at: in-rules}", "rules.yaml:1:10: no rule asks a"),
        ("{id: a, object: limited.bc, program: check}", "limited.bc wants the constant limit"),
        ("{id: a, object: limited.bc, program: check, constants: {limit: 65536}}", "65536 doesn't fit into limit"),
        (
            "{id: a, object: limited.bc, program: check, constants: {limit: 1}}, "
            "{id: b, object: limited.bc, program: check, constants: {limit: 2}}",
            "limit is 1 already, for another stage",
        ),
    ],
)
def test_a_stage_that_is_wrong_is_told_with_its_place(folder: Path, stage: str, said: str) -> None:
    assert said in _refused(folder, stage)


@requires("clang")
@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        ("challenge: {stage: b}", "x asks a stage 'b', and none stands `at: in-rules` under that id"),
        ("challenge: {stage: before}", "there are: a"),
        ("", "a rule that challenges names a stage"),
    ],
)
def test_a_rule_that_challenges_finds_its_stage(folder: Path, challenge: str, said: str) -> None:
    path = folder / "rules.yaml"
    path.write_text(f"""\
stages:
  - {{id: a, object: check.bc, program: check, at: in-rules}}
  - {{id: before, object: check.bc, program: check}}
rules:
  - {{id: x, action: challenge, {challenge}}}
  - {{id: y, action: challenge, challenge: {{stage: a}}}}
""")
    with pytest.raises(RuleSetRefused) as caught:
        load_rule_set(path)
    assert said in str(caught.value)


def test_a_stage_that_ships_is_found_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    stage = "{id: dns, object: dns_truncate.bc, program: dns_truncate, constants: {dns_truncate_above: 5}}"
    path.write_text(f"stages: [{stage}]\n")
    assert load_rule_set(path).stages[0].code.functions == ("dns_truncate",)


@requires("clang")
def test_the_same_bitcode_is_an_equal_rule_set(folder: Path) -> None:
    path = folder / "rules.yaml"
    path.write_text("stages: [{id: a, object: check.bc, program: check}]\n")
    first = load_rule_set(path)
    build_stage(folder / "check.c")
    assert load_rule_set(path).stages == first.stages
