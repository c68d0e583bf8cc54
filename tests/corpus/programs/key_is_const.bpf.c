// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A callback must not write the key that it is given. */
#include "corpus.h"

MAP(flows, HASH, 64, __u32, __u64);

static long visit(void *map, __u32 *key, __u64 *value, void *nothing)
{
	EITHER(*value, *key) = 0;
	return 0;
}

SEC("xdp")
int key_is_const(struct xdp_md *context)
{
	bpf_for_each_map_elem(&flows, visit, 0, 0);
	return XDP_PASS;
}
