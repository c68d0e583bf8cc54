// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A map that programs may only read. */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, __u64);
} settings SEC(".maps");

SEC("xdp")
int read_only_map(struct xdp_md *context)
{
	__u32 key = 1;
	__u64 *value = bpf_map_lookup_elem(&settings, &key);

	if (!value)
		return XDP_PASS;
	EITHER(OPAQUE(key), *value = 1);
	return *value ? XDP_DROP : XDP_PASS;
}
