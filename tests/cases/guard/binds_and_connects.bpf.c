/* Port 9000 is nobody's, and port 9001 is port 9002: of what is bound, and of what connections go to. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static __always_inline int judge(struct bpf_sock_addr *ctx)
{
    if (ctx->user_port == bpf_htons(9000))
        return 0;
    if (ctx->user_port == bpf_htons(9001))
        ctx->user_port = bpf_htons(9002);
    return 1;
}

SEC("cgroup/bind4") int bind4(struct bpf_sock_addr *ctx)
{
    return judge(ctx);
}

SEC("cgroup/bind6") int bind6(struct bpf_sock_addr *ctx)
{
    return judge(ctx);
}

SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *ctx)
{
    return judge(ctx);
}

SEC("cgroup/connect6") int connect6(struct bpf_sock_addr *ctx)
{
    return judge(ctx);
}
