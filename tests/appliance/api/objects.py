"""An object with a bit of everything, for the tests of the API."""

from appliance.api import Object, open_object
from tests.appliance.ebpf.compiling import compile_c

SOURCE = """
struct { MAP(BPF_MAP_TYPE_HASH); } seen SEC(".maps");
const volatile __u32 limit = 3;
volatile __u16 port = 7;
__u64 frames;

SEC("xdp") int count(struct xdp_md *ctx) {
    __u32 key = ctx->ingress_ifindex;
    __u64 one = 1, *known = bpf_map_lookup_elem(&seen, &key);
    frames++;
    if (known) {
        (*known)++;
        return *known > limit ? XDP_DROP : XDP_PASS;
    }
    return bpf_map_update_elem(&seen, &key, &one, BPF_ANY) ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp/second") int back(struct xdp_md *ctx) { return XDP_TX; }

SEC("xdp/third") int unsafe(struct xdp_md *ctx) { return *(char *)(long)ctx->data; }
"""
FRAME = bytes(range(60))


def example() -> bytes:
    """The object; its program `unsafe` is rejected."""
    return compile_c(SOURCE)


def opened() -> Object:
    """The example without the program that is rejected."""
    found = open_object(example())
    found.programs["unsafe"].autoload = False
    return found


def key(number: int) -> bytes:
    return number.to_bytes(4, "little")
