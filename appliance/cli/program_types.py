"""What kind of program it is, where the section's name does not say it: named by the user, or found by trying."""

from __future__ import annotations

from appliance.ebpf.platform import LINUX, Platform
from hooks.contracts.contract import HookPoint

# The kinds that are tried, the most common ones of custom section names first.
_TRIED = (
    "tc", "xdp", "socket", "cgroup_skb/egress", "kprobe", "tracepoint", "raw_tracepoint", "perf_event", "sockops",
    "sk_skb", "sk_msg", "lwt_xmit",
)  # fmt: skip


def names_of_types() -> list[str]:
    """What may be said to `--type`."""
    return sorted({hook.name for hook in _hooks(LINUX)})


def candidates(platform: Platform, name: str | None) -> list[HookPoint]:
    """The hooks to try, in that order: the one of that name, or those that are common. None on a platform that has no
    sections of old names."""
    by_name = {hook.name: hook for hook in _hooks(platform)}
    if name is not None:
        return [by_name[name]] if name in by_name else []
    return [by_name[tried] for tried in _TRIED] if platform.kernel_only else []


def _hooks(platform: Platform) -> tuple[HookPoint, ...]:
    return (*platform.hooks, *platform.kernel_only)
