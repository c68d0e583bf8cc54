"""The kit builds what its words say."""

import ctypes

import pytest
from llvmlite import ir

from appliance.ir import I32, I64, PTR, Code, Engine
from appliance.ir.storage import WrongWidth


class Pair(ctypes.Structure):
    _fields_ = (("first", ctypes.c_uint32), ("second", ctypes.c_uint64))


def test_loop_sums_an_array() -> None:
    module = ir.Module("m")
    code = Code.define(module, "sum", I64, linkage="external", numbers=PTR, count=I64)
    total = code.variable(I64, 0)
    with code.count(code["count"]) as index:
        total.add(code.load(code.at(code["numbers"], code.mul(index, 8)), I64))
    code.ret(total.get())
    with Engine(module) as engine:
        add = engine.function("sum", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)
        assert add((ctypes.c_uint64 * 4)(1, 2, 3, 4), 4) == 10


def test_fields_are_those_of_the_structure() -> None:
    module = ir.Module("m")
    code = Code.define(module, "swap", I32, linkage="external", pair=PTR)
    first, second = (code.field(code["pair"], Pair, name) for name in ("first", "second"))
    old = first.load()
    first.store(code.resize(second.load(), I32))
    second.store(code.resize(old, I64))
    with code.if_(code.compare(old, "==", 7)):
        code.ret(1)
    code.ret(0)
    with Engine(module) as engine:
        swap = engine.function("swap", ctypes.c_uint32, ctypes.c_void_p)
        pair = Pair(7, 9)
        assert swap(ctypes.byref(pair)) == 1
        assert (pair.first, pair.second) == (9, 7)


def test_atomics() -> None:
    module = ir.Module("m")
    code = Code.define(module, "f", I64, linkage="external", cell=PTR)
    code.atomic_add(code["cell"], 5, I64)
    with code.if_(code.compare_exchange(code["cell"], 5, 8, I64)):
        code.field(code["cell"], Pair, "first").store_release(9)
        code.ret(code.resize(code.field(code["cell"], Pair, "first").load_acquire(), I64))
    code.ret(0)
    with Engine(module) as engine:
        cell = ctypes.c_uint64(0)
        assert engine.function("f", ctypes.c_uint64, ctypes.c_void_p)(ctypes.byref(cell)) == 9


def test_a_place_takes_numbers_of_its_own_width_alone() -> None:
    """LLVM takes others, and writes over what lies behind it."""
    module = ir.Module("m")
    code = Code.define(module, "wide", I64, pair=PTR, number=I64)
    for place in (code.variable(I32).set, code.field(code["pair"], Pair, "first").store):
        with pytest.raises(WrongWidth, match="a place of i32 can't hold i64; resize the value"):
            place(code["number"])  # type: ignore[arg-type]
