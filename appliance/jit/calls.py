"""Calls: helpers become code on the spot, subprograms become native functions of their own."""

from __future__ import annotations

from appliance.ebpf.instructions import CallFunction, CallHelper, CallKernel, CallRegister, LoadMap
from appliance.ebpf.platform import PLATFORMS
from appliance.helpers.native import IMPLEMENTATIONS
from appliance.helpers.native.call import HelperCall, MapSite
from appliance.helpers.prototypes import PROTOTYPES
from appliance.jit.subprogram import Subprogram
from appliance.verifier.program import CallFacts

ARGUMENTS = range(1, 6)


def emit_helper(sub: Subprogram, index: int, call: CallHelper) -> None:
    plan, facts = sub.plan, _facts(sub, index, call)
    if facts.helper not in IMPLEMENTATIONS:
        raise sub.refusal(f"helper {call.helper}, which does not exist here", index)
    taken = ARGUMENTS[: len(PROTOTYPES[facts.helper].arguments)]
    places = [sub.stack_place(access) for access in facts.arguments] + [None] * len(taken)
    result = IMPLEMENTATIONS[facts.helper](
        HelperCall(
            code=sub.code,
            hook=plan.program.spec.hook,
            clock=plan.clock,
            context=sub.context,
            arguments=[sub.read(register) for register in taken],
            pointers=[place or sub.pointer(register) for register, place in zip(taken, places, strict=False)],
            map=plan.maps[facts.map] if facts.map is not None else None,
            maps=_maps_in_hand(sub) if facts.map is None else (),
        )
    )
    sub.write(0, result)


def emit_function(sub: Subprogram, index: int, call: CallFunction) -> None:
    """The callee has registers and a stack of its own; it gets the context, for the helpers that it calls."""
    callee = sub.plan.functions[call.target]
    sub.write(0, sub.code.call(callee, sub.context, *(sub.read(register) for register in ARGUMENTS)))


def refuse_register_call(sub: Subprogram, index: int, _call: CallRegister) -> None:
    raise sub.refusal("a call through a register", index)


def refuse_kernel_call(sub: Subprogram, index: int, call: CallKernel) -> None:
    raise sub.refusal(f"a call of kernel function {call.btf_id}", index)


def _maps_in_hand(sub: Subprogram) -> tuple[MapSite, ...]:
    """The maps whose addresses the program loads: where paths disagree on the map, it is one of these."""
    loaded = {each.map for each in sub.plan.program.spec.instructions if isinstance(each, LoadMap)}
    return tuple(site for name, site in sub.plan.maps.items() if name in loaded)


def _facts(sub: Subprogram, index: int, call: CallHelper) -> CallFacts:
    """What the verifier knows of the call; of an unverified one, no more than the helper's name."""
    known = sub.plan.program.facts.calls.get(index)
    if known is not None:
        return known
    platform = PLATFORMS[sub.plan.program.spec.hook.platform]
    return CallFacts(platform.helpers.get(call.helper, "?"))
