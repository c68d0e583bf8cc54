"""A verdict for a program wherever it may run: here, or in a kernel alone.

Some hooks are here and in Linux, where programs can do more (`HookPoint.in_kernel`). A program that does more is proved
for the kernel: as one of a hook that never runs here, which is what keeps it away from everything that runs programs.
"""

from __future__ import annotations

from dataclasses import replace

from appliance.ebpf.spec import ProgramSpec
from appliance.verifier.reports.rejections import Rejection
from appliance.verifier.reports.report import Rejected

# What may be wrong with a program because of what is not here.
_MISSING_HERE = frozenset(
    {
        Rejection.HELPER_UNKNOWN,
        Rejection.HELPER_OF_OTHER_HOOK,
        Rejection.CONTEXT_ACCESS,
        Rejection.DIFFERENT_PATHS,
        Rejection.HELPER_FORMAT,
    }
)


def in_kernel(spec: ProgramSpec, rejected: Rejected) -> ProgramSpec | None:
    """The program as one that only a kernel runs, if it may be proved as such; None if it is refused wherever it runs.
    What it needs a kernel for is the demand that was not met here."""
    if spec.hook.in_kernel is None or rejected.report.kind not in _MISSING_HERE:
        return None
    return replace(spec, hook=spec.hook.in_kernel)
