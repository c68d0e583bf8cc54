"""Stores that others see in order: on this machine, and in the code for one that orders nothing by itself."""

from __future__ import annotations

import ctypes

from llvmlite import ir

from appliance.ir.publish import begin, emit_stores, publish
from tests.appliance.ir.weak_machine import assembly_for_arm


def test_they_store() -> None:
    word = ctypes.c_uint64(1)
    begin(ctypes.addressof(word), 2)
    assert word.value == 2
    publish(ctypes.addressof(word), (1 << 64) - 1)
    assert word.value == (1 << 64) - 1


def test_a_change_begins_before_and_is_whole_after_what_is_written() -> None:
    module = ir.Module("m")
    emit_stores(module)
    code = assembly_for_arm(module)
    begun, published = code["begin"], code["publish"]
    assert [line.split()[0] for line in begun] == ["str", "dmb", "ret"], "a fence between the store and what follows"
    assert [line.split()[0] for line in published] == ["stlr", "ret"], "a store that releases"
