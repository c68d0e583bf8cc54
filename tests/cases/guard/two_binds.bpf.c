/* Two programs of one hook: port 9000 is nobody's for the first, port 9001 for the second, which moves 9003 as well. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/bind4") int first(struct bpf_sock_addr *ctx)
{
    return ctx->user_port != bpf_htons(9000);
}

SEC("cgroup/bind4") int second(struct bpf_sock_addr *ctx)
{
    if (ctx->user_port == bpf_htons(9003))
        ctx->user_port = bpf_htons(9004);
    return ctx->user_port != bpf_htons(9001);
}
