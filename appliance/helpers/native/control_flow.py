"""Helpers that pass control on: to functions of the program that they call back, and to other programs.

    i64 function(ptr context, i64 r1, …, i64 r5)     a function of the program, as the JIT writes it
    i64 program(ptr context)                         what an array of programs holds

A callback that LLVM can see, which is nearly every one, is inlined into the loop that calls it.
"""

from __future__ import annotations

import errno

from llvmlite import ir

from appliance.helpers.limits import MAX_LOOPS, MAX_TAIL_CALLS
from appliance.helpers.native.call import HelperCall, MapSite
from appliance.helpers.native.maps import dispatch_map, map_memory
from appliance.ir import I64, PTR, U32, U64

FUNCTION = ir.FunctionType(I64, [PTR, *[I64] * 5]).as_pointer()
PROGRAM = ir.FunctionType(I64, [PTR]).as_pointer()


def tail_call(call: HelperCall) -> U64:
    """Return what the program at the index r3 of the array r2 answers. Where there is none, or after MAX_TAIL_CALLS of
    them in one run, go on behind the call."""
    code, made = call.code, call.field("tail_calls")
    index, count = call.low(2), made.load()
    with code.if_(code.compare(count, "<", MAX_TAIL_CALLS), likely=True):
        program = dispatch_map(call, lambda site: _program_at(call, site, index))
        with code.if_(code.compare(program, "!=", 0), likely=True):
            made.store(code.add(count, 1))
            code.ret(code.call(code.builder.inttoptr(program, PROGRAM), call.context))
    return call.number(0)


def _program_at(call: HelperCall, site: MapSite, index: U32) -> U64:
    return call.code.integer(call.code.call(site.functions.program, map_memory(call, site), index))


def loop(call: HelperCall) -> U64:
    """Call the function r2 with 0, 1, 2 … below r1, and r3, until it returns another number than 0. How often it was
    called; -EINVAL if there are flags (r4), -E2BIG for more than MAX_LOOPS."""
    code, iterations = call.code, call.code.resize(call.low(0), I64)
    too_many = code.select(code.compare(iterations, ">", MAX_LOOPS), call.number(-errno.E2BIG), call.number(0))
    refused = code.select(code.compare(call.arguments[3], "!=", 0), call.number(-errno.EINVAL), too_many)
    end = code.select(code.compare(refused, "==", 0), iterations, call.number(0))
    made = code.variable(I64, 0)
    with code.loop() as body:
        index = made.get()
        body.break_if(code.compare(index, ">=", end))
        made.set(code.add(index, 1))
        body.break_if(code.compare(call_back(call, 1, index, call.arguments[2]), "!=", 0))
    return code.select(code.compare(refused, "==", 0), made.get(), refused)


def for_each_map_elem(call: HelperCall) -> U64:
    """Call the function r2 with the map, each key and value in it, and r3, until it returns another number than 0. How
    often it was called; -EINVAL if there are flags (r4). Entries may come and go meanwhile."""
    code, answer = call.code, call.code.variable(I64, -errno.EINVAL)
    with code.if_(code.compare(call.arguments[3], "==", 0)):
        answer.set(dispatch_map(call, lambda site: _visit(call, site)))
    return answer.get()


def _visit(call: HelperCall, site: MapSite) -> U64:
    """The walk through one map, and how many entries it met."""
    code, map_, nowhere = call.code, map_memory(call, site), ir.Constant(PTR, None)
    key, position, visited = code.buffer(site.spec.key_size), code.variable(I64, 0), code.variable(I64, 0)
    with code.loop() as body:
        following = code.call(site.functions.next, map_, position.get(), key, nowhere)
        body.break_if(code.compare_signed(following, "<", 0))
        position.set(following)
        value = code.call(site.functions.visit, map_, key, call.field("processor_id").load())
        body.continue_if(code.is_null(value))  # somebody has deleted it since
        visited.add(1)
        given = (call.arguments[0], code.integer(key), code.integer(value), call.arguments[2])
        body.break_if(code.compare(call_back(call, 1, *given), "!=", 0))
    return visited.get()


def call_back(call: HelperCall, function: int, *arguments: U64) -> U64:
    """What the function of the program answers whose address is an argument of the helper (0 is r1)."""
    code = call.code
    callee = code.builder.inttoptr(call.arguments[function], FUNCTION)
    answer: U64 = code.call(callee, call.context, *arguments, *[call.number(0)] * (5 - len(arguments)))
    return answer
