// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A binary search in a sorted map value: bounds narrow on every turn. */
#include "corpus.h"

MAP(tables, ARRAY, 1, __u32, __u32[64]);

SEC("xdp")
int value_search(struct xdp_md *context)
{
	__u32 key = 0, *table = bpf_map_lookup_elem(&tables, &key), at = 0, wanted = context->ingress_ifindex;

	if (!table)
		return XDP_PASS;
	for (__u32 step = EITHER(32, 64); step; step >>= 1)
		if (table[at + step] <= wanted)
			at += step;
	return table[at] == wanted ? XDP_DROP : XDP_PASS;
}
