/* Answers the kernel's question for the first retransmission timeout, and counts the moments it is told of. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 16);
    __type(key, __u32);
    __type(value, __u64);
} moments SEC(".maps");

SEC("sockops") int answer(struct bpf_sock_ops *ctx)
{
    __u32 op = ctx->op;
    __u64 *count = bpf_map_lookup_elem(&moments, &op);

    if (!count)
        return 0;
    __sync_fetch_and_add(count, 1);
    ctx->reply = op == BPF_SOCK_OPS_TIMEOUT_INIT ? 500 : ctx->args[0] + ctx->args[1];
    return 1;
}

char _license[] SEC("license") = "GPL";
