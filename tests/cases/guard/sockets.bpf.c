/* No datagram sockets of IPv6; of what is bound, port 9000 is nobody's, nor half of those that nobody asked for. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/sock_create") int sock_create(struct bpf_sock *ctx)
{
    return !(ctx->family == 10 && ctx->type == 2 && ctx->protocol == 17);
}

SEC("cgroup/post_bind4") int post_bind4(struct bpf_sock *ctx)
{
    if (ctx->src_port > 32767)
        return ctx->src_port >> 1 & 1;
    return ctx->src_port != 9000 && ctx->src_ip4 == bpf_htonl(0x7f000001);
}

SEC("cgroup/post_bind6") int post_bind6(struct bpf_sock *ctx)
{
    return ctx->src_port != 9000 && ctx->src_ip6[3] == bpf_htonl(1);
}
