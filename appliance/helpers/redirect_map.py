"""What each type of map redirects to, and the flags of `redirect_map`.

Sources: include/uapi/linux/bpf.h (BPF_F_BROADCAST and its likes); kernel/bpf/{devmap,cpumap}.c and net/xdp/xskmap.c.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.ebpf.map_types import MapType
from hooks.contracts.xdp import RedirectKind

ACTION_MASK = 3  # the answer if there is no target: XDP_ABORTED, DROP, PASS or TX
BPF_F_BROADCAST = 1 << 3
BPF_F_EXCLUDE_INGRESS = 1 << 4

# No entry of an xskmap is ever there.
KINDS: Mapping[MapType, RedirectKind] = {
    MapType.DEVMAP: RedirectKind.INTERFACE,
    MapType.DEVMAP_HASH: RedirectKind.INTERFACE,
    MapType.CPUMAP: RedirectKind.PROCESSOR,
}


def known_flags(type_: MapType) -> int:
    """The flags that `redirect_map` takes with a map of that type."""
    to_all = BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS if KINDS.get(type_) is RedirectKind.INTERFACE else 0
    return ACTION_MASK | to_all
