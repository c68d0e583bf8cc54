"""Which programs the kernel asks: of calls that every engine knows, and of moments that only a kernel sees."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.ebpf.spec import ProgramSpec
from appliance.guard.errors import NothingToGuard
from appliance.guard.hooks import PLACES

# Hooks of Linux that answer no call, so that nothing of them is counted.
KERNEL_ALONE = frozenset(
    {"sockops", *(f"cgroup/{name}{version}" for name in ("getpeername", "getsockname") for version in (4, 6))}
)


def check_kernel_programs(programs: Iterable[ProgramSpec], source: str) -> tuple[list[ProgramSpec], dict[str, str]]:
    """The programs that the kernel can be given, and why the others can't be, by name. Raises NothingToGuard."""
    asked, left_out = [], {}
    for program in programs:
        name = program.hook.name
        if program.hook.platform != "linux":
            left_out[program.name] = "it is made for Windows, and Linux has other contexts"
        elif name in PLACES or name in KERNEL_ALONE:
            asked.append(program)
        else:
            left_out[program.name] = f"hook `{name}` is none of sockets in control groups"
    if not asked:
        reasons = "; ".join(f"`{name}`: {why}" for name, why in left_out.items()) or "it holds no program"
        raise NothingToGuard(f"no program of it can guard in the kernel: {reasons}", where=source)
    return asked, left_out
