/* Each address that is bound to is remembered, and each connection that was made: of both, how often. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 forbidden = 9000;
__u32 asked;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __type(key, __u32);
    __type(value, __u64);
    __uint(max_entries, 16);
} ports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __type(key, __u32);
    __type(value, __u32);
    __uint(max_entries, 2);
} calls SEC(".maps");

SEC("cgroup/bind4") int bind4(struct bpf_sock_addr *ctx)
{
    __u32 port = bpf_ntohs(ctx->user_port), index = 1;
    __u64 one = 1, *count = bpf_map_lookup_elem(&ports, &port);
    __u32 *all = bpf_map_lookup_elem(&calls, &index);

    asked++;
    if (all)
        ++*all;
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        bpf_map_update_elem(&ports, &port, &one, BPF_ANY);
    return port != forbidden;
}
