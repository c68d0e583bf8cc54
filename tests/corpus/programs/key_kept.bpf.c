// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A walk finds the index of an entry; the pointer to that index is gone when the walk is over. */
#include "corpus.h"

MAP(counters, ARRAY, 8, __u32, __u64);

struct found { const __u32 *place; __u32 index; };

static long busy(void *map, const __u32 *key, __u64 *count, struct found *found)
{
	if (*count < 100)
		return 0;
	found->place = key;
	found->index = *key;
	return 1;
}

SEC("xdp")
int key_kept(struct xdp_md *context)
{
	struct found found = {};

	bpf_for_each_map_elem(&counters, busy, &found, 0);
	if (!found.place)
		return XDP_PASS;
	return EITHER(found.index, *found.place) == context->rx_queue_index ? XDP_DROP : XDP_PASS;
}
