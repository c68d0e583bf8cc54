/* Port 9000 is nobody's, and port 9001 is port 9002; who has what is in a map, until it is given back. */
#include "windows.h"

struct holding {
    uint64_t process;
    uint64_t operation;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, uint16_t);
    __type(value, struct holding);
} holders SEC(".maps");

SEC("bind") bind_action_t bind_policy(bind_md_t *ctx)
{
    uint8_t *address = ctx->socket_address;
    uint16_t port = address[2] << 8 | address[3];
    struct holding holding = {ctx->process_id, ctx->operation};

    if (ctx->operation != BIND_OPERATION_BIND) {
        bpf_map_update_elem(&holders, &port, &holding, 0);
        return BIND_PERMIT_SOFT;
    }
    if (port == 9000)
        return BIND_DENY;
    if (port == 9001) {
        address[2] = 9002 >> 8;
        address[3] = 9002 & 0xff;
        return BIND_REDIRECT;
    }
    return BIND_PERMIT_SOFT;
}
