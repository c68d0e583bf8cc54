// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A variable offset into a map value, bounded by a comparison. */
#include "corpus.h"

struct table { __u32 size; __u16 ports[24]; };
MAP(tables, ARRAY, 1, __u32, struct table);

SEC("xdp")
int value_offset(struct xdp_md *context)
{
	__u32 key = 0, at = context->rx_queue_index;
	struct table *table = bpf_map_lookup_elem(&tables, &key);

	if (!table || at >= EITHER(24, 25))
		return XDP_PASS;
	return table->ports[at] ? XDP_DROP : XDP_PASS;
}
