/* One program that is asked, and one that can't be. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/bind4") int bound(struct bpf_sock_addr *ctx)
{
    return ctx->user_port != bpf_htons(9000);
}

SEC("cgroup/getpeername4") int named(struct bpf_sock_addr *ctx)
{
    return 1;
}
