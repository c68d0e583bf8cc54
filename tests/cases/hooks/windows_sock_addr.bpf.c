/* Connections to an address are made to another one, with a note for whoever takes them; some are never made. */
#include "windows.h"

struct destination {
    uint32_t ip[4];
    uint16_t port;
    uint16_t pad;
    uint32_t protocol;
};

struct note {
    uint64_t process_thread;
    uint64_t again;
    struct destination wanted;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, struct destination);
    __type(value, struct destination);
} proxies SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, struct destination);
    __type(value, uint32_t);
} refused SEC(".maps");

struct asker {
    uint64_t cookie, logon, start_key, created;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, uint64_t);
    __type(value, struct asker);
} askers SEC(".maps");

static inline int redirect(bpf_sock_addr_t *ctx, struct destination *wanted, int is_ip6)
{
    struct destination *proxy = bpf_map_lookup_elem(&proxies, wanted);
    if (!proxy)
        return BPF_SOCK_ADDR_VERDICT_PROCEED_SOFT;

    struct note note = {bpf_get_current_pid_tgid(), bpf_sock_addr_get_current_pid_tgid(ctx), *wanted};
    if (bpf_sock_addr_set_redirect_context(ctx, &note, sizeof(note)))
        return BPF_SOCK_ADDR_VERDICT_REJECT;
    if (is_ip6)
        __builtin_memcpy(ctx->user_ip6, proxy->ip, sizeof(proxy->ip));
    else
        ctx->user_ip4 = proxy->ip[0];
    ctx->user_port = proxy->port;
    return BPF_SOCK_ADDR_VERDICT_PROCEED_HARD;
}

SEC("cgroup/connect4") int redirect_v4(bpf_sock_addr_t *ctx)
{
    struct destination wanted = {.ip = {ctx->user_ip4}, .port = ctx->user_port, .protocol = ctx->protocol};
    return redirect(ctx, &wanted, 0);
}

SEC("cgroup/connect6") int redirect_v6(bpf_sock_addr_t *ctx)
{
    struct destination wanted = {.port = ctx->user_port, .protocol = ctx->protocol};
    __builtin_memcpy(wanted.ip, ctx->user_ip6, sizeof(wanted.ip));
    return redirect(ctx, &wanted, 1);
}

SEC("cgroup/recv_accept4") int accept_v4(bpf_sock_addr_t *ctx)
{
    struct destination from = {.ip = {ctx->user_ip4}, .port = ctx->user_port, .protocol = ctx->protocol};
    return bpf_map_lookup_elem(&refused, &from) ? BPF_SOCK_ADDR_VERDICT_REJECT : BPF_SOCK_ADDR_VERDICT_PROCEED_SOFT;
}

SEC("cgroup/connect_authorization4") int authorize_v4(bpf_sock_addr_t *ctx)
{
    struct asker asker = {
        bpf_get_socket_cookie(ctx),
        bpf_get_current_logon_id(ctx),
        bpf_get_current_process_start_key(),
        bpf_get_current_thread_create_time(),
    };
    uint64_t luid = ctx->interface_luid;

    bpf_map_update_elem(&askers, &luid, &asker, 0);
    return ctx->compartment_id == 1 ? BPF_SOCK_ADDR_VERDICT_PROCEED_SOFT : BPF_SOCK_ADDR_VERDICT_REJECT;
}
