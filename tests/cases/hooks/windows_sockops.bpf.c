/* What became of each connection, by its flow. */
#include "windows.h"

struct connection {
    uint32_t ops;
    uint32_t remote_port;
    uint32_t remote_ip[4];
    uint64_t luid;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, uint64_t);
    __type(value, struct connection);
} connections SEC(".maps");

SEC("sockops") int watch(bpf_sock_ops_t *ctx)
{
    uint64_t flow = bpf_sock_ops_get_flow_id(ctx);
    struct connection seen = {.remote_port = ctx->remote_port, .luid = ctx->interface_luid};

    if (ctx->op > 2)
        return -1;
    if (ctx->family == 2)
        seen.remote_ip[0] = ctx->remote_ip4;
    else
        __builtin_memcpy(seen.remote_ip, ctx->remote_ip6, sizeof(seen.remote_ip));
    struct connection *known = bpf_map_lookup_elem(&connections, &flow);
    seen.ops = (known ? known->ops : 0) | 1u << ctx->op;
    return bpf_map_update_elem(&connections, &flow, &seen, 0);
}
