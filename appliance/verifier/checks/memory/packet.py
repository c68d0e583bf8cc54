"""When an access to a memory is allowed whose end the program finds by comparing: 0 <= place, and place + size within
what comparisons with the end proved on this path.

packet      from `data` to `data_end`
metadata    from `data_meta` to `data`
app id      from `app_id_start` to `app_id_end`; only read
"""

from __future__ import annotations

from appliance.verifier.checks.memory.requests import WRITING, Purpose, Request, Rule, byte_words, span_words
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from appliance.verifier.state.state import State


def ranged_rule(base: str, limit: str, *, writable: bool = True) -> Rule:
    """The rule of a memory whose end the program finds by comparing."""

    def rule(environment: Environment, state: State, request: Request) -> None:
        if not (writable and environment.spec.hook.writes_packet) and request.purpose in WRITING:
            raise Violation(
                Rejection.READ_ONLY_MEMORY,
                f"{request.purpose.value} {request.span()} past `{base}`, which may only be read",
                "change packets in a hook that may, such as xdp; in others helpers may, such as skb_store_bytes",
            )
        if request.purpose is Purpose.UPDATE:
            raise Violation(
                Rejection.ATOMIC_ACCESS,
                "atomically updates packet memory, which only plain loads and stores may access",
                "use plain ones: one processor has the packet for itself",
            )
        known = state.proved(request.pointer.id)
        first = request.pointer.offset + request.offset
        if request.low < 0:
            raise Violation(
                Rejection.PACKET_BOUNDS,
                f"{request.purpose.value} {request.span()} from `{base}`, before it",
                f"show that what is added to `{base}` is not negative: use unsigned types",
            )
        if first + request.size <= known:
            return
        if request.pointer.variable.constant is None:
            where = f"a variable distance ({request.pointer.variable}) past `{base}`"
            span, ending = span_words(first, first + request.size), f" behind {where}"
        else:
            span, ending = request.span(), f" past `{base}`"
        inside = f"only {byte_words(known)}" if known > 0 else "none"
        are = "is" if known == 1 else "are"
        raise Violation(
            Rejection.PACKET_BOUNDS,
            f"{request.purpose.value} {span}{ending}, but {inside} {are} known to be inside on this path",
            f"compare first: `if (pointer + {first + request.size} > {limit}) return …`, with the same pointer",
        )

    return rule
