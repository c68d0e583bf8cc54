/* Each program may bind so many sockets; port 80 becomes port 8080; nobody but root binds port 22. */
#include "windows.h"

#define NAME 32
#define AF_INET 2
#define PORT(number) ((uint16_t)((number) >> 8 | (number) << 8))

struct binder {
    uint64_t process;
    uint64_t count;
};

struct name {
    uint8_t bytes[NAME];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, struct name);
    __type(value, struct binder);
} binders SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, uint64_t);
} limit SEC(".maps");

static inline void copy_path(struct name *name, bind_md_t *ctx)
{
    uint8_t *start = ctx->app_id_start, *end = ctx->app_id_end;

#pragma unroll
    for (int i = 0; i < NAME; i++)
        if (start + i + 1 <= end)
            name->bytes[i] = start[i];
}

SEC("bind") bind_action_t bind_policy(bind_md_t *ctx)
{
    struct name name = {0};
    struct binder first = {ctx->process_id, 0};
    uint32_t zero = 0;
    uint16_t port;

    if (ctx->operation == BIND_OPERATION_POST_BIND)
        return BIND_PERMIT_SOFT;

    copy_path(&name, ctx);
    struct binder *binder = bpf_map_lookup_elem(&binders, &name);
    if (!binder) {
        bpf_map_update_elem(&binders, &name, &first, 0);
        binder = bpf_map_lookup_elem(&binders, &name);
        if (!binder)
            return BIND_DENY;
    }
    if (ctx->operation == BIND_OPERATION_UNBIND) {
        if (binder->count)
            binder->count--;
        return BIND_PERMIT_SOFT;
    }
    uint64_t *most = bpf_map_lookup_elem(&limit, &zero);
    if (most && *most && binder->count >= *most)
        return BIND_DENY;
    binder->count++;

    port = *(uint16_t *)&ctx->socket_address[2];
    if (*(uint16_t *)&ctx->socket_address[0] != AF_INET)
        return BIND_PERMIT_SOFT;
    if (port == PORT(22) && !bpf_is_current_admin(ctx))
        return BIND_DENY;
    if (port == PORT(80)) {
        *(uint16_t *)&ctx->socket_address[2] = PORT(8080);
        return BIND_REDIRECT;
    }
    return port == PORT(443) ? BIND_PERMIT_HARD : BIND_PERMIT_SOFT;
}
