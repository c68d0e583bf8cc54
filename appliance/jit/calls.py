"""Calls: helpers become code on the spot, subprograms become native functions of their own.

A call through a register goes where the verifier saw that a function of the program is. In bytecode that nobody
verified, what the register holds is looked for among all that it may name: the addresses of the program's own
functions, then the numbers of helpers; else the program traps.
"""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from appliance.ebpf.isa.instructions import CallFunction, CallHelper, CallKernel, CallRegister, LoadFunction
from appliance.ebpf.platform import PLATFORMS
from appliance.helpers.native import IMPLEMENTATIONS
from appliance.helpers.native.call import HelperCall
from appliance.helpers.native.control_flow import FUNCTION
from appliance.helpers.prototypes import PROTOTYPES
from appliance.ir import I32, I64, U64
from appliance.jit.subprogram import Subprogram
from appliance.verifier.program import CallFacts

ARGUMENTS = range(1, 6)


def emit_helper(sub: Subprogram, index: int, call: CallHelper) -> None:
    facts = _facts(sub, index, call)
    if facts.helper not in IMPLEMENTATIONS:
        raise sub.refusal(f"helper {call.helper}, which does not exist here", index)
    if facts.text is None and PROTOTYPES[facts.helper].needs_text:
        raise sub.refusal(f"a call of {facts.helper}, whose text only the verifier can tell", index)
    sub.write(0, _helper_answer(sub, index, facts))


def _helper_answer(sub: Subprogram, index: int, facts: CallFacts) -> U64:
    plan = sub.plan
    prototype = PROTOTYPES[facts.helper]
    taken = ARGUMENTS[: len(prototype.arguments)]
    known = (*facts.arguments, *[None] * len(taken))
    places = [sub.stack_place(index, register, access) for register, access in zip(taken, known, strict=False)]
    return IMPLEMENTATIONS[facts.helper](
        HelperCall(
            code=sub.code,
            hook=plan.program.spec.hook,
            clock=plan.clock,
            context=sub.context,
            arguments=[sub.read(register) for register in taken],
            pointers=[place or sub.pointer(register) for register, place in zip(taken, places, strict=True)],
            maps=tuple(plan.maps[name] for name in facts.maps),
            map_argument=prototype.map_register - 1,
            text=facts.text,
        )
    )


def emit_function(sub: Subprogram, index: int, call: CallFunction) -> None:
    """The callee has registers and a stack of its own; it gets the context, for the helpers that it calls."""
    callee = sub.plan.functions[call.target]
    sub.write(0, sub.code.call(callee, sub.context, *(sub.read(register) for register in ARGUMENTS)))


def emit_register_call(sub: Subprogram, index: int, call: CallRegister) -> None:
    """One of the program's functions, if that was proved."""
    if index not in sub.plan.program.facts.functions:
        _emit_unproved_call(sub, index, call)
        return
    callee = sub.code.builder.inttoptr(sub.read(call.register), FUNCTION)
    sub.write(0, sub.code.call(callee, sub.context, *(sub.read(register) for register in ARGUMENTS)))


def _emit_unproved_call(sub: Subprogram, index: int, call: CallRegister) -> None:
    code, builder = sub.code, sub.code.builder
    callee, arguments = sub.read(call.register), [sub.read(register) for register in ARGUMENTS]
    answer, end = code.variable(I64), builder.append_basic_block("called")
    for function in _address_taken(sub):
        with code.if_(code.compare(callee, "==", code.integer(function))):
            answer.set(code.call(function, sub.context, *arguments))
            builder.branch(end)
    nobody = builder.append_basic_block("nobody")
    choice = builder.switch(code.resize(callee, I32), nobody)
    for number, name in _helpers_without_maps(sub).items():
        block = builder.append_basic_block(name)
        choice.add_case(number, block)
        builder.position_at_end(block)
        answer.set(_helper_answer(sub, index, CallFacts(name)))
        builder.branch(end)
    builder.position_at_end(nobody)
    code.call(code.module.declare_intrinsic("llvm.trap", (), ir.FunctionType(ir.VoidType(), ())))
    builder.unreachable()
    builder.position_at_end(end)
    sub.write(0, answer.get())


def emit_function_address(sub: Subprogram, _index: int, load: LoadFunction) -> None:
    sub.write(load.dst, sub.code.integer(sub.plan.functions[load.target]))


def _address_taken(sub: Subprogram) -> list[ir.Function]:
    """The functions whose addresses the program takes."""
    taken = {each.target for each in sub.plan.program.spec.instructions if isinstance(each, LoadFunction)}
    return [function for target, function in sorted(sub.plan.functions.items()) if target in taken]


def _helpers_without_maps(sub: Subprogram) -> dict[int, str]:
    """The helpers that work on nothing that only the verifier could tell."""
    return {
        number: name
        for number, name in _helpers_by_number(sub).items()
        if name in IMPLEMENTATIONS and not PROTOTYPES[name].needs_map and not PROTOTYPES[name].needs_text
    }


def refuse_kernel_call(sub: Subprogram, index: int, call: CallKernel) -> None:
    raise sub.refusal(f"a call of kernel function {call.name or call.btf_id}", index)


def _facts(sub: Subprogram, index: int, call: CallHelper) -> CallFacts:
    """What the verifier knows of the call; of an unverified one, no more than the helper's name."""
    known = sub.plan.program.facts.calls.get(index)
    if known is not None:
        return known
    return CallFacts(_helpers_by_number(sub).get(call.helper, "?"))


def _helpers_by_number(sub: Subprogram) -> Mapping[int, str]:
    """The helpers that programs of the hook may call, by their numbers."""
    hook = sub.plan.program.spec.hook
    helpers = PLATFORMS[hook.platform].at(hook).helpers
    return {number: name for number, name in helpers.items() if PROTOTYPES[name].family in hook.families}
