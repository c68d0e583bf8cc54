"""Digests of tables: equal for equal values in every process, and other for anything that a proof could rely upon."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.box.proving.prototypes import (
    bytecode_digest,
    digest,
    facts_digest,
    helpers_digest,
    hook_digest,
    map_digest,
    prototypes,
)
from appliance.ebpf.isa.instructions import Exit, Immediate, LoadMap, Move
from appliance.ebpf.map_types import MapType
from appliance.ebpf.platform import LINUX, PLATFORMS, WINDOWS
from appliance.ebpf.spec import MapSpec, ProgramSpec, Variable
from appliance.verifier.program import Access, CallFacts, Facts, Region, StackFacts
from hooks.contracts.contract import HookPoint, HostContext, Verdict
from hooks.contracts.xdp import XDP_LINUX, XDP_WINDOWS

ROOT = Path(__file__).parents[4]
FLOWS = MapSpec("flows", MapType.HASH, 4, 8, 1024)
TABLE = MapSpec("table", MapType.ARRAY, 4, 8, 1, contents=((b"k", b"v"),), read_only=True)
FACTS = Facts(
    accesses={1: Access(Region.PACKET), 2: Access(Region.STACK, -8)},
    calls={3: CallFacts("map_lookup_elem", ("flows",), (None, Access(Region.STACK, -4)))},
    reachable=frozenset({0, 1, 2, 3}),
    stack=StackFacts({(1, 2): (-8, -4)}),
)


class OtherContext(HostContext):
    _fields_ = (("mine", ctypes.c_uint32),)


def program(*instructions: object) -> ProgramSpec:
    return ProgramSpec("main", "xdp", XDP_LINUX, instructions)  # type: ignore[arg-type]


def test_every_hook_and_platform_has_a_digest_of_its_own() -> None:
    hooks = [hook_digest(hook) for platform in PLATFORMS.values() for hook in platform.hooks]
    assert len(set(hooks)) == len(hooks)
    assert helpers_digest(LINUX) != helpers_digest(WINDOWS)


def test_every_process_makes_the_same() -> None:
    program = (
        "from appliance.box.proving.prototypes import *\n"
        "from appliance.ebpf.platform import LINUX\n"
        "print(prototypes(LINUX, LINUX.hooks, {}))\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{prototypes(LINUX, LINUX.hooks, {})}\n".encode()}


@pytest.mark.parametrize(
    "change",
    [
        lambda hook: replace(hook, verdicts={**hook.verdicts, 1: Verdict.PASS}),
        lambda hook: replace(hook, families=hook.families | {"sock_addr"}),
        lambda hook: replace(hook, context=replace(hook.context, size=28)),
        lambda hook: replace(hook, host=OtherContext),
        lambda hook: replace(hook, otherwise=Verdict.PASS),
    ],
)
def test_another_contract_is_another_hook(change: Callable[[HookPoint], HookPoint]) -> None:
    assert hook_digest(change(XDP_LINUX)) != hook_digest(XDP_LINUX)


def test_what_only_a_kernel_has_is_no_part_of_it() -> None:
    assert hook_digest(replace(XDP_LINUX, in_kernel=XDP_WINDOWS)) == hook_digest(XDP_LINUX)


def test_another_number_is_another_table_of_helpers() -> None:
    assert helpers_digest(replace(LINUX, helpers={**LINUX.helpers, 6: "redirect"})) != helpers_digest(LINUX)


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_entries", 1025), ("value_size", 16), ("key_size", 8), ("type", MapType.LRU_HASH), ("flags", 1), ("lock", 0)],
)
def test_another_declaration_is_another_map(field: str, value: object) -> None:
    assert map_digest(replace(FLOWS, **{field: value})) != map_digest(FLOWS)  # type: ignore[arg-type]


def test_contents_count_where_nobody_may_change_them() -> None:
    assert map_digest(replace(FLOWS, contents=((b"k", b"v"),))) == map_digest(FLOWS)
    assert map_digest(replace(TABLE, contents=((b"k", b"w"),))) != map_digest(TABLE)


def test_names_do_not_change_a_map() -> None:
    named = replace(FLOWS, name="other", variables=(Variable("v", 0, 4),), key_type=3)
    assert map_digest(named) == map_digest(FLOWS)


def test_what_is_inside_of_a_map_of_maps_counts() -> None:
    outer = MapSpec("outer", MapType.ARRAY_OF_MAPS, 4, 4, 2, inner=FLOWS)
    assert map_digest(outer) != map_digest(replace(outer, inner=replace(FLOWS, max_entries=2)))


def test_bytecode_is_told_by_its_instructions_and_its_maps() -> None:
    first = program(LoadMap(1, "flows"), Move(64, 0, Immediate(2)), Exit())
    assert bytecode_digest(first) == bytecode_digest(replace(first, name="other"))
    assert bytecode_digest(first) != bytecode_digest(program(LoadMap(1, "other"), Move(64, 0, Immediate(2)), Exit()))
    assert bytecode_digest(first) != bytecode_digest(program(LoadMap(1, "flows"), Move(64, 0, Immediate(3)), Exit()))


@pytest.mark.parametrize(
    "other",
    [
        replace(FACTS, accesses={1: Access(Region.PACKET), 2: Access(Region.STACK, -16)}),
        replace(FACTS, calls={}),
        replace(FACTS, reachable=frozenset({0, 1, 2})),
        replace(FACTS, functions=frozenset({1})),
        replace(FACTS, stack=None),
    ],
)
def test_another_fact_is_another_proof(other: Facts) -> None:
    assert facts_digest(other) != facts_digest(FACTS)


def test_facts_are_the_same_in_whatever_order_they_were_found() -> None:
    assert facts_digest(replace(FACTS, accesses=dict(reversed(FACTS.accesses.items())))) == facts_digest(FACTS)


def test_texts_do_not_run_into_each_other() -> None:
    assert digest(("ab", "c")) != digest(("a", "bc"))
    assert digest(("1",)) != digest((1,))
    assert digest((True,)) != digest((1,))


def test_what_has_no_digest_is_told() -> None:
    with pytest.raises(TypeError, match="float has no digest"):
        digest(1.0)
