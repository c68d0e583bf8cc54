// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Visits every element of a map; the callback's answer is 0 or 1. */
#include "corpus.h"

MAP(flows, HASH, 64, __u32, __u64);
struct total { __u64 packets; };

static long visit(void *map, __u32 *key, __u64 *value, struct total *total)
{
	total->packets += *value;
	return EITHER(total->packets > 1000, total->packets);
}

SEC("xdp")
int each_element(struct xdp_md *context)
{
	struct total total = {};

	bpf_for_each_map_elem(&flows, visit, &total, 0);
	return total.packets > 1000 ? XDP_DROP : XDP_PASS;
}
