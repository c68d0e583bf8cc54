/* What only a kernel sees: connections that were established from here. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 1);
} established SEC(".maps");

SEC("sockops") int told(struct bpf_sock_ops *ctx)
{
    __u32 key = 0;
    __u64 *count = bpf_map_lookup_elem(&established, &key);

    if (count && ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
        __sync_fetch_and_add(count, 1);
    return 1;
}
