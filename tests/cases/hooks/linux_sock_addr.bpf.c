/* Sockets sent elsewhere: port 53 to 5353, 192.0.2.0/24 to this host, and some not at all. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct asker {
    __u64 pid_tgid, uid_gid, cookie, namespace;
    char comm[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, struct asker);
} askers SEC(".maps");

static __always_inline void remember(struct bpf_sock_addr *ctx)
{
    __u32 port = bpf_ntohs(ctx->user_port);
    struct asker asker = {0};

    asker.uid_gid = bpf_get_current_uid_gid();
    asker.cookie = bpf_get_socket_cookie(ctx);
    asker.namespace = bpf_get_netns_cookie(ctx);
    asker.pid_tgid = bpf_get_current_pid_tgid();
    bpf_get_current_comm(asker.comm, sizeof(asker.comm));
    bpf_map_update_elem(&askers, &port, &asker, BPF_ANY);
}

SEC("cgroup/bind4") int bind_elsewhere(struct bpf_sock_addr *ctx)
{
    remember(ctx);
    if (ctx->user_port == bpf_htons(9) || ctx->type != 2)
        return 0;
    if (ctx->user_port == bpf_htons(53))
        ctx->user_port = bpf_htons(5353);
    if (ctx->user_ip4 == bpf_htonl(0xc0000201))
        ctx->user_ip4 = bpf_htonl(0x7f000001);
    return 1;
}

SEC("cgroup/connect4") int connect_elsewhere(struct bpf_sock_addr *ctx)
{
    __u8 *address = (__u8 *)&ctx->user_ip4;

    remember(ctx);
    if (ctx->user_port == bpf_htons(9))
        return 0;
    if ((ctx->user_ip4 & bpf_htonl(0xffffff00)) == bpf_htonl(0xc0000200)) {
        ctx->user_ip4 = bpf_htonl(0x7f000000 | address[3]);
        ctx->user_port = bpf_htons(5353);
    }
    return 1;
}

SEC("cgroup/connect6") int connect6_elsewhere(struct bpf_sock_addr *ctx)
{
    if (ctx->user_ip6[0] != bpf_htonl(0x20010db8))
        return ctx->user_ip6[3] == bpf_htonl(1) && ctx->protocol == 17;
    ctx->user_ip6[0] = ctx->user_ip6[1] = ctx->user_ip6[2] = 0;
    ctx->user_ip6[3] = bpf_htonl(1);
    ctx->user_port = bpf_htons(bpf_ntohs(ctx->user_port) + 1);
    return 1;
}

SEC("cgroup/getsockname4") int say_another_name(struct bpf_sock_addr *ctx)
{
    if (ctx->user_port == bpf_htons(5353))
        ctx->user_port = bpf_htons(53);
    return 1;
}

char _license[] SEC("license") = "GPL";
