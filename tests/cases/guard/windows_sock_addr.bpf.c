/* Of binding, connecting and listening: port 9000 is nobody's, and connections to port 9001 go to port 9002. */
#include "windows.h"

#define PORT(number) ((uint16_t)((number) >> 8 | (number) << 8))
enum { REJECT, PROCEED };

SEC("cgroup/bind4") int bind4(bpf_sock_addr_t *ctx)
{
    return ctx->family == 2 && ctx->user_port != PORT(9000) ? PROCEED : REJECT;
}

SEC("cgroup/connect6") int connect6(bpf_sock_addr_t *ctx)
{
    if (ctx->family == 23 && ctx->user_port == PORT(9001))
        ctx->user_port = PORT(9002);
    return PROCEED;
}

SEC("cgroup/connect_authorization6") int authorize6(bpf_sock_addr_t *ctx)
{
    return ctx->user_port == PORT(9002) && ctx->protocol == 6 ? PROCEED : REJECT;
}

SEC("cgroup/listen4") int listen4(bpf_sock_addr_t *ctx)
{
    return ctx->user_port == PORT(8999) ? PROCEED : REJECT;
}
