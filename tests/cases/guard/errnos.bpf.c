/* What is denied has a name: ports 9000 on give the errno that they are asked for, less 9000; so do families. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static int (*get_retval)(void) = (void *)186;
static int (*set_retval)(int value) = (void *)187;

static __always_inline int judge(int port)
{
    int before = get_retval();

    if (port > 9000 && port < 9200)
        set_retval(9000 - port + before);
    return port != 9000;
}

SEC("cgroup/bind4") int bind4(struct bpf_sock_addr *ctx)
{
    return judge(bpf_ntohs(ctx->user_port));
}

SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *ctx)
{
    return judge(bpf_ntohs(ctx->user_port));
}

SEC("cgroup/post_bind6") int post_bind6(struct bpf_sock *ctx)
{
    return judge(ctx->src_port);
}

SEC("cgroup/sock_create") int sock_create(struct bpf_sock *ctx)
{
    return ctx->type == 2 ? judge(9097) : 1;
}
