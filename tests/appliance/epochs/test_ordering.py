"""Stores that others see in order: on this machine, and in the code for one that orders nothing by itself."""

from __future__ import annotations

import ctypes

from appliance.epochs import assign_pointer, begin_change
from appliance.epochs.ordering import TEXT
from tests.appliance.ir.weak_machine import assembly_for_arm


def test_they_store() -> None:
    word = ctypes.c_uint64(1)
    begin_change(ctypes.addressof(word), 2)
    assert word.value == 2
    assign_pointer(ctypes.addressof(word), (1 << 64) - 1)
    assert word.value == (1 << 64) - 1


def test_a_change_begins_before_and_is_whole_after_what_is_written() -> None:
    code = assembly_for_arm(TEXT)
    begun, published, fence = code["store_then_fence"], code["store_release"], code["fence"]
    assert [line.split()[0] for line in begun] == ["str", "dmb", "ret"], "a fence between the store and what follows"
    assert [line.split()[0] for line in published] == ["stlr", "ret"], "a store that releases"
    assert [line.split() for line in fence] == [["dmb", "ish"], ["ret"]], "a full fence"
