// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A variable that is set on every path, or on one only. */
#include "corpus.h"

MAP(counts, ARRAY, 4, __u32, __u64);

SEC("xdp")
int stack_on_one_path(struct xdp_md *context)
{
	struct { __u32 key, unused; } place;

	if (context->rx_queue_index > 2)
		place.key = 1;
	GOOD(else place.key = 0;)
	return bpf_map_lookup_elem(&counts, &place.key) ? XDP_PASS : XDP_DROP;
}
