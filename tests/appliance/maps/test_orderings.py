"""What threads that share a map may rely upon, on any machine: read from the code that is generated.

This machine orders stores by itself, so running the code here proves nothing of that.
"""

from __future__ import annotations

import re

import pytest
from llvmlite import ir

from appliance.ebpf.map_types import MapType
from appliance.ebpf.spec import MapSpec
from appliance.maps import emit_operations, export_operations
from tests.appliance.ir.weak_machine import assembly_for_arm

HASH = MapSpec("m", MapType.HASH, 8, 64, 100)
LRU = MapSpec("m", MapType.LRU_HASH, 8, 64, 100)
TRIE = MapSpec("m", MapType.LPM_TRIE, 8, 64, 100)
FILTER = MapSpec("m", MapType.BLOOM_FILTER, 0, 8, 100)
PORTS = MapSpec("m", MapType.DEVMAP, 4, 4, 100)


def function(spec: MapSpec, name: str) -> list[str]:
    """The instructions of one function of the map's code, before any optimisation."""
    module = ir.Module("m")
    emit_operations(module, spec, 1)
    (found,) = (each for each in module.functions if each.name.endswith(f".{name}"))
    return [line.strip() for line in str(found).splitlines() if line.startswith("  ")]


def in_order(lines: list[str], *patterns: str) -> None:
    """Each pattern is found behind the one before it."""
    rest = iter(lines)
    for pattern in patterns:
        assert any(re.search(pattern, line) for line in rest), f"{pattern} in its turn of {patterns}: {lines}"


def test_links_of_freed_elements_are_read_and_written_as_words() -> None:
    """Another thread may have taken the element, and be writing its key there: a plain load would be undefined."""
    in_order(function(HASH, "take"), r"load atomic i32, .* monotonic, align 4", "cmpxchg")
    in_order(function(HASH, "give_back"), "fence release", r"store atomic i32 .* monotonic, align 4", "cmpxchg")


def test_reference_bits_are_read_and_written_as_words() -> None:
    for name in ("lookup", "evict"):
        in_order(function(LRU, name), r"load atomic i8, .* monotonic", r"store atomic i8 .* monotonic")


def test_a_reader_of_a_hash_branches_on_nothing_undefined() -> None:
    in_order(
        function(HASH, "find"), "freeze i8", "freeze i1", "fence acquire", r"load atomic i64, .* monotonic", "br i1"
    )
    in_order(function(HASH, "next"), "freeze i64", "call void .*lock", "freeze i1", "br i1")


def test_an_element_is_written_after_its_slot_was_and_before_it_is_seen() -> None:
    update = function(HASH, "update")
    in_order(update, "atomicrmw xchg .* acquire", "fence release", "memcpy", r"store atomic i64 .* release")
    in_order(update, r"store atomic i64 .* release", r"store atomic i32 .* release", "ret i64")


def test_a_node_of_a_trie_is_written_after_the_sequence_has_grown() -> None:
    in_order(function(TRIE, "give_back"), r"atomicrmw add .* acq_rel", "fence release")
    in_order(
        function(TRIE, "lookup"), r"load atomic i32, .* acquire", "fence acquire", r"load atomic i32, .* monotonic"
    )


def test_readers_of_a_trie_read_nodes_as_words() -> None:
    walk = function(TRIE, "walk")
    in_order(walk, r"load atomic i32, .* acquire", r"load atomic i32, .* monotonic", r"load atomic i64, .* monotonic")


@pytest.mark.parametrize(("spec", "name"), [(FILTER, "peek"), (PORTS, "lookup"), (PORTS, "next")])
def test_words_that_others_write_are_read_as_words(spec: MapSpec, name: str) -> None:
    assert any(re.search(r"load atomic i64, .* monotonic, align 8", line) for line in function(spec, name))


@pytest.mark.parametrize("spec", [HASH, LRU, TRIE], ids=lambda spec: spec.type.value)
def test_the_code_for_a_weakly_ordered_machine_has_its_fences(spec: MapSpec) -> None:
    module = ir.Module("m")
    export_operations(module, spec, 1)
    code = assembly_for_arm(module)
    lines = [line for name, body in code.items() if name.endswith(".update") for line in body]
    assert any(line.startswith(("stlr", "stlur")) for line in lines), "what is linked is whole"
    every = [line.split()[0] for body in code.values() for line in body]
    assert "dmb" in every
    assert "ldar" in every or "ldapr" in every
