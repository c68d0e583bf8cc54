"""What the kernel's lookup of routes knows beside the tables: numbers that both engines share."""

from __future__ import annotations

from hooks.linux import bpf
from hooks.routing.routes import RouteKind

IP_MAX_MTU = 0xFFFF  # include/net/ip.h
LOOPBACK_INTERFACE = 1  # where packets of the machine's own come from
CHAIN_LIMIT = 1024  # routes looked at for one address
HASH_MULTIPLIER = 0x9E3779B97F4A7C15  # chooses among several next hops

# Other kinds are not forwarded.
RESULT_OF_KIND = {
    RouteKind.BLACKHOLE: bpf.BPF_FIB_LKUP_RET_BLACKHOLE,
    RouteKind.UNREACHABLE: bpf.BPF_FIB_LKUP_RET_UNREACHABLE,
    RouteKind.PROHIBIT: bpf.BPF_FIB_LKUP_RET_PROHIBIT,
}

# IPv6 addresses that never leave their link, as (value, mask): multicast, link-local, loopback.
STRICT = (
    (0xFF << 120, 0xFF << 120),
    (0xFE80 << 112, 0xFFC0 << 112),
    (1, (1 << 128) - 1),
)
