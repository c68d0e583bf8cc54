// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A global function may be called with any number: it checks its argument by itself. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[32]);

__noinline int look_up(__u32 at)
{
	__u32 key = 0;
	__u8 *value = bpf_map_lookup_elem(&values, &key);

	if (!value)
		return 0;
	GOOD(if (at >= 32) return 0;)
	return value[at];
}

SEC("xdp")
int global_function(struct xdp_md *context)
{
	return look_up(context->rx_queue_index) ? XDP_DROP : XDP_PASS;
}
