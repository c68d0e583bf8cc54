"""A verified program becomes native functions of a module, beside whatever else the module holds.

emit_program    i64 program_NAME(ptr HostContext)       internal, so that a loop in the same module inlines it
                i64 body_NAME(ptr HostContext)          the same of a program that makes tail calls, of which
emit_entry      i64 program_NAME(ptr HostContext)       begins a run
emit_twin       another name for a program, of one that is the same code
emit_raw        i64 raw_NAME(ptr memory, i64 length)    exported; for bytecode that runs without a hook
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from llvmlite import ir

from appliance.helpers.native.call import Clock, MapSite
from appliance.ir import I64, PTR, Code
from appliance.jit.control_flow import SubprogramBody, find_body
from appliance.jit.emitters import EMITTERS
from appliance.jit.stack import stack_layout
from appliance.jit.subprogram import NotCompilable, ProgramPlan, Subprogram
from appliance.verifier.program import VerifiedProgram
from hooks.contracts.contract import HostContext

TAIL_CALL = "tail_call"
SUBPROGRAM_ARGUMENTS = (I64,) * 5

# A loop that inlines its program saves a call per frame, some two nanoseconds; but LLVM then simplifies the program
# once more for every function it went into. Above this many instructions that costs more time than it is worth.
LARGEST_INLINED = 256


def entry_name(program: str) -> str:
    """The name in its module of the function that runs of the program begin with."""
    return f"program_{program}"


def body_name(program: VerifiedProgram) -> str:
    """The name in its module of the function that tail calls to the program lead to."""
    return f"body_{program.spec.name}" if makes_tail_calls(program) else entry_name(program.spec.name)


def makes_tail_calls(program: VerifiedProgram) -> bool:
    """Whether it calls the helper anywhere."""
    return any(call.helper == TAIL_CALL for call in program.facts.calls.values())


def tail_call_maps(program: VerifiedProgram) -> set[str]:
    """The arrays of programs that its tail calls may go through."""
    return {name for call in program.facts.calls.values() if call.helper == TAIL_CALL for name in call.maps}


def emit_program(
    module: ir.Module, program: VerifiedProgram, maps: Mapping[str, MapSite], clock: Clock = Clock.MONOTONIC
) -> ir.Function:
    """Write the program and its subprograms; `maps` are those that it names. Raises NotCompilable, above all for a
    proof of what only a kernel can run."""
    if not program.spec.hook.runs_here:
        raise NotCompilable(f"programs of hook `{program.spec.hook.name}` run in a kernel", where=program.spec.name)
    entry = _declare(module, body_name(program), PTR)
    if len(program.spec.instructions) > LARGEST_INLINED:
        entry.attributes.add("noinline")
    _write(_plan(program, maps, clock, entry))
    return entry


def emit_twin(module: ir.Module, program: VerifiedProgram, body: ir.Function) -> ir.Function:
    """A program that is the same code as one that is written already: another name for it, which callers inline."""
    code = Code.define(module, body_name(program), I64, context=PTR)
    code.function.attributes.add("alwaysinline")
    code.ret(code.call(body, code["context"]))
    return code.function


def emit_entry(module: ir.Module, program: VerifiedProgram, body: ir.Function) -> ir.Function:
    """What a run begins with: the program itself, or, if it makes tail calls, what sets their count to 0 first."""
    if not makes_tail_calls(program):
        return body
    code = Code.define(module, entry_name(program.spec.name), I64, context=PTR)
    code.field(code["context"], HostContext, "tail_calls").store(0)
    code.ret(code.call(body, code["context"]))
    return code.function


def emit_raw(module: ir.Module, program: VerifiedProgram) -> ir.Function:
    """Write bytecode that gets memory in r1 and its length in r2. There are no maps; helpers see a context of zeros."""
    name = f"raw_{program.spec.name}"
    body = _declare(module, f"{name}.0", PTR, *SUBPROGRAM_ARGUMENTS)
    _write(_plan(program, {}, Clock.MONOTONIC, body))
    code = Code.define(module, name, I64, linkage="external", memory=PTR, length=I64)
    size = ctypes.sizeof(program.spec.hook.host)
    context = code.buffer(size)
    code.fill(context, 0, size)
    code.ret(code.call(body, context, code.integer(code["memory"]), code["length"], 0, 0, 0))
    return code.function


def _plan(program: VerifiedProgram, maps: Mapping[str, MapSite], clock: Clock, entry: ir.Function) -> ProgramPlan:
    return ProgramPlan(program, maps, clock, {0: entry})


def _declare(module: ir.Module, name: str, *parameters: ir.Type) -> ir.Function:
    function = ir.Function(module, ir.FunctionType(I64, parameters), name)
    function.linkage = "internal"
    function.attributes.add("nounwind")
    return function


def _write(plan: ProgramPlan) -> None:
    """The entry, and every subprogram that one of them calls. All are declared before the first is written: an address
    may be taken in one and called in another."""
    spec, entry = plan.program.spec, plan.functions[0]
    bodies, pending = [], [0]
    while pending:
        body = find_body(spec.instructions, pending.pop(), plan.program.facts.reachable)
        bodies.append(body)
        for target in sorted(body.calls - plan.functions.keys()):
            plan.functions[target] = _declare(entry.module, f"{entry.name}.{target}", PTR, *SUBPROGRAM_ARGUMENTS)
            pending.append(target)
    for body in bodies:
        _write_subprogram(plan, body)


def _write_subprogram(plan: ProgramPlan, body: SubprogramBody) -> None:
    spec, function = plan.program.spec, plan.functions[body.entry]
    sub = Subprogram(plan, function, body.leaders, stack_layout(plan.program, body.entry, body.indices))
    if body.falls_off is not None:
        raise sub.refusal("the program goes on behind its last instruction", body.falls_off)
    for register, argument in enumerate(function.args[1:] or [sub.code.integer(sub.context)], 1):
        sub.write(register, argument)
    sub.branch(body.entry)
    for index in body.indices:
        if index in sub.blocks:
            sub.code.builder.position_at_end(sub.blocks[index])
            sub.registers.forget()
        instruction = spec.instructions[index]
        EMITTERS[type(instruction)](sub, index, instruction)
        if sub.code.builder.block.is_terminated:
            continue
        if index + 1 in sub.blocks:
            sub.branch(index + 1)
        elif index + 1 not in body.indices:
            sub.code.builder.unreachable()  # proved: control does not come back from here
