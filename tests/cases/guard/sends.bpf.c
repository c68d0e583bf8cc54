/* Datagrams to port 9000 are nobody's, and those to port 9001 go to port 9002, from 127.0.0.9. Those from port 9002 come
 * from port 9001, for whom receives them. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/sendmsg4") int sendmsg4(struct bpf_sock_addr *ctx)
{
    if (ctx->user_port == bpf_htons(9000))
        return 0;
    if (ctx->user_port == bpf_htons(9001)) {
        ctx->user_port = bpf_htons(9002);
        ctx->msg_src_ip4 = bpf_htonl(0x7f000009);
    }
    return 1;
}

SEC("cgroup/sendmsg6") int sendmsg6(struct bpf_sock_addr *ctx)
{
    if (ctx->user_port == bpf_htons(9000))
        return 0;
    if (ctx->user_port == bpf_htons(9001))
        ctx->user_port = bpf_htons(9002);
    return 1;
}

SEC("cgroup/recvmsg4") int recvmsg4(struct bpf_sock_addr *ctx)
{
    if (ctx->user_port == bpf_htons(9002))
        ctx->user_port = bpf_htons(9001);
    return 1;
}

SEC("cgroup/recvmsg6") int recvmsg6(struct bpf_sock_addr *ctx)
{
    if (ctx->user_port == bpf_htons(9002))
        ctx->user_port = bpf_htons(9001);
    return 1;
}
