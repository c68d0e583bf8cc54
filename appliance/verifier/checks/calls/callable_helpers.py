"""Which helpers a program may call: what its platform, the table of prototypes and its hook have."""

from __future__ import annotations

from appliance.ebpf.isa.instructions import CallHelper
from appliance.helpers.kernel.groups import callable_names
from appliance.helpers.kernel.prototypes import EVERY_PROTOTYPE
from appliance.helpers.prototypes import HelperPrototype
from appliance.helpers.unimplemented import UNIMPLEMENTED
from appliance.helpers.unsupported import unsupported_at
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Violation
from appliance.verifier.state.environment import Environment
from hooks.contracts.contract import HookPoint

# What a hook must have for the helpers of a family.
FAMILY_HINTS: dict[str, str] = {
    "xdp": "it works on a frame: programs in section `xdp` have one",
    "task": "it asks about the process that makes a call: programs see one where a socket is bound or connected",
    "socket": "it asks about a socket: programs in sections `bind`, `cgroup/…` and `sockops` have one",
    "sock_addr": "it works on a connection that is being made: programs in sections `cgroup/…` see one",
    "sock_ops": "it asks about a connection: programs in section `sockops` see one",
}


def prototype_of(environment: Environment, instruction: CallHelper) -> HelperPrototype:
    """The helper's prototype. Violates if the platform, the table or the hook does not have it."""
    hook = environment.spec.hook
    refusal = unsupported_at(hook, instruction.helper) if hook.runs_here else None
    if refusal is not None:
        raise Violation(
            Rejection.HELPER_UNKNOWN,
            f"calls helper {refusal.name}, which has no meaning here: {refusal.reason}",
            "docs/helpers.md says which helpers there are",
            unsupported=True,
        )
    name = environment.platform.helpers.get(instruction.helper)
    prototype = EVERY_PROTOTYPE.get(name) if name is not None else None
    if prototype is None:
        raise Violation(
            Rejection.HELPER_UNKNOWN,
            f"calls helper {name or UNIMPLEMENTED[hook.platform].get(instruction.helper, instruction.helper)}, "
            "which is not supported yet",
            f"docs/helpers.md says which helpers hook `{hook.name}` of platform `{hook.platform}` has",
            unsupported=True,
        )
    if not _may_call(hook, prototype):
        raise Violation(
            Rejection.HELPER_OF_OTHER_HOOK,
            f"calls `{name}`, which programs of hook `{hook.name}` may not call",
            FAMILY_HINTS.get(prototype.family),
        )
    return prototype


def _may_call(hook: HookPoint, prototype: HelperPrototype) -> bool:
    return prototype.family in hook.families if hook.runs_here else prototype.name in callable_names(hook)
