"""Where a REDIRECT verdict sends the frame, in Python."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ebpf.interpreter import Helper, HelperCall, Value
from appliance.helpers.redirect_map import ACTION_MASK, BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS, KINDS, known_flags
from hooks.contracts.contract import Verdict
from hooks.contracts.xdp import RedirectKind

M32 = (1 << 32) - 1


def redirect(call: HelperCall) -> Value:
    """Name the interface (r1) that a REDIRECT verdict sends to. REDIRECT's number, or ABORTED's if flags are given."""
    interface, flags, context = call.number(0), call.number(1), call.context
    if flags:
        return context.hook.number(Verdict.ABORTED)
    _set_target(call, RedirectKind.INTERFACE, interface & M32)
    return context.hook.number(Verdict.REDIRECT)


def redirect_map(call: HelperCall) -> Value:
    """Name the target under the key (r2) of the map (r1). REDIRECT's number, or the lowest two bits of the flags (r3)
    if there is none; 0 for flags that the map has no use for."""
    map_, key, flags = call.map(0), call.number(1) & M32, call.number(2)
    if flags & ~known_flags(map_.spec.type):
        return 0
    entry = map_.lookup(key.to_bytes(4, "little"))
    if flags & BPF_F_BROADCAST:
        others = flags & BPF_F_EXCLUDE_INGRESS
        _set_target(call, RedirectKind.EVERY_OTHER_INTERFACE if others else RedirectKind.EVERY_INTERFACE, 0)
    elif entry is None:
        _set_target(call, RedirectKind.INTERFACE, 0)
        return flags & ACTION_MASK
    else:
        _set_target(call, KINDS[map_.spec.type], int.from_bytes(entry[:4], "little"))
    return call.context.hook.number(Verdict.REDIRECT)


def _set_target(call: HelperCall, kind: RedirectKind, target: int) -> None:
    frame = call.context.host
    frame.redirect_kind, frame.redirect_ifindex = kind, target


HELPERS: Mapping[str, Helper] = {"redirect": redirect, "redirect_map": redirect_map}
