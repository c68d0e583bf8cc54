"""Where a REDIRECT verdict sends the frame: the helpers name it in the FrameContext, the datapath goes there.

Source: bpf_xdp_redirect and __bpf_xdp_redirect_map (net/core/filter.c, include/linux/filter.h).
"""

from __future__ import annotations

from functools import partial

from appliance.ebpf.map_types import MapType
from appliance.helpers.native.call import HelperCall, MapSite
from appliance.helpers.native.maps import dispatch_map, map_memory
from appliance.helpers.redirect_map import ACTION_MASK, BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS, KINDS, known_flags
from appliance.ir import I32, I64, U32, U64, Field, Variable
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import RedirectKind


def redirect(call: HelperCall) -> U64:
    """Name the interface that a REDIRECT verdict sends to. The number of REDIRECT, or of ABORTED if flags are given."""
    code = call.code
    flagged = code.compare(call.arguments[1], "!=", 0)
    target = code.variable(I64, call.hook.number(Verdict.ABORTED))
    with code.if_(code.builder.not_(flagged), likely=True):
        _set_target(call, RedirectKind.INTERFACE, call.low(0))
        target.set(call.hook.number(Verdict.REDIRECT))
    return target.get()


def redirect_map(call: HelperCall) -> U64:
    """Name the target under the key r2 of the map r1. The number of REDIRECT, or the lowest two bits of the flags r3 if
    there is none; 0 for flags that the map has no use for."""
    return dispatch_map(call, partial(_redirect_by, call))


def _redirect_by(call: HelperCall, site: MapSite) -> U64:
    code, flags, type_ = call.code, call.arguments[2], site.spec.type
    answer = code.variable(I64, 0)
    with code.if_(code.compare(code.and_(flags, ~known_flags(type_)), "==", 0), likely=True):
        answer.set(code.and_(flags, ACTION_MASK))
        if type_ is MapType.XSKMAP:  # always empty
            _set_target(call, RedirectKind.INTERFACE, 0)
        else:
            _redirect_to_entry(call, site, answer)
        if known_flags(type_) & BPF_F_BROADCAST:
            with code.if_(code.compare(code.and_(flags, BPF_F_BROADCAST), "!=", 0), likely=False):
                _set_broadcast(call, site)
                answer.set(call.hook.number(Verdict.REDIRECT))
    return answer.get()


def _redirect_to_entry(call: HelperCall, site: MapSite, answer: Variable[U64]) -> None:
    """As in the kernel, a lookup that fails takes back what an earlier one had named."""
    code = call.code
    key = code.buffer(4)
    code.store(call.low(1), key)
    entry = code.call(site.functions.lookup, map_memory(call, site), key, call.field("processor_id").load())
    with code.if_else(code.is_null(entry)) as (missing, found):
        with missing:
            _set_target(call, RedirectKind.INTERFACE, 0)
        with found:
            _set_target(call, KINDS[site.spec.type], code.resize(Field(code, entry, I64, 8).load_monotonic(), I32))
            answer.set(call.hook.number(Verdict.REDIRECT))


def _set_target(call: HelperCall, kind: RedirectKind, target: U32 | int) -> None:
    call.field("redirect_kind").store(kind)
    call.field("redirect_ifindex").store(target)


def _set_broadcast(call: HelperCall, site: MapSite) -> None:
    """The datapath goes through the map's entries as they are when the verdict is carried out."""
    code = call.code
    excluding = code.compare(code.and_(call.arguments[2], BPF_F_EXCLUDE_INGRESS), "!=", 0)
    every, others = (
        code.value(kind, I32) for kind in (RedirectKind.EVERY_INTERFACE, RedirectKind.EVERY_OTHER_INTERFACE)
    )
    call.field("redirect_kind").store(code.select(excluding, others, every))
    call.field("redirect_map").store(code.integer(map_memory(call, site)))
    call.field("redirect_next").store(code.integer(site.functions.next))
