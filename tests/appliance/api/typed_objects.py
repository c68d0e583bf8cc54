"""An object whose maps and variables have types of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from appliance.api import Object, open_object
from tests.appliance.ebpf.compiling import compile_c

SOURCE = """
#define TYPED(kind, k, v, n) __uint(type, kind); __type(key, k); __type(value, v); __uint(max_entries, n)
struct flow { __u32 source; __u16 port; __u8 mac[6]; };
struct stats { __u64 packets; __u64 bytes; };
enum mode { WATCH, ENFORCE };
struct config { enum mode mode; __u16 ports[2]; struct stats limit; };
struct { TYPED(BPF_MAP_TYPE_HASH, struct flow, struct stats, 8); } flows SEC(".maps");
struct { TYPED(BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct stats, 2); } totals SEC(".maps");
struct { TYPED(BPF_MAP_TYPE_PERCPU_HASH, struct flow, __u64, 8); } counts SEC(".maps");
struct { TYPED(BPF_MAP_TYPE_ARRAY, __u32, enum mode, 3); } modes SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __type(value, struct flow); __uint(max_entries, 8); } jobs SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __type(value, __u32); __uint(max_entries, 8); } known SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(key_size, 4); __uint(value_size, 2); __uint(max_entries, 8); }
    raw SEC(".maps");
const volatile struct config config = {ENFORCE, {80, 443}, {1000, 2000}};
volatile struct stats seen;
volatile float ratio = 0.5;
volatile _Bool open_to_all;

SEC("xdp") int count(struct xdp_md *ctx) {
    struct flow flow = {.source = ctx->ingress_ifindex, .port = config.ports[1]};
    struct stats one = {1, (long)ctx->data_end - (long)ctx->data};
    struct stats *found = bpf_map_lookup_elem(&flows, &flow);
    __u32 zero = 0;
    if (found)
        found->packets++;
    else
        bpf_map_update_elem(&flows, &flow, &one, BPF_ANY);
    found = bpf_map_lookup_elem(&totals, &zero);
    if (found)
        found->packets++;
    seen.packets++;
    bpf_map_push_elem(&jobs, &flow, BPF_ANY);
    bpf_map_push_elem(&known, &zero, BPF_ANY);
    zero += bpf_map_lookup_elem(&raw, &zero) != 0;
    zero += bpf_map_lookup_elem(&counts, &flow) != 0;
    zero += bpf_map_lookup_elem(&modes, &zero) != 0;
    return config.mode == ENFORCE && zero < 9 ? XDP_DROP : XDP_PASS;
}
"""


@dataclass(frozen=True)
class Flow:
    source: int
    port: int
    mac: bytes = bytes(6)


@dataclass
class Stats:
    packets: int
    bytes: int


@cache
def compiled() -> bytes:
    return compile_c(SOURCE)


def opened() -> Object:
    return open_object(compiled())
