// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A switch gives one of a few constants, and each of them fits. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[40]);

SEC("xdp")
int switch_of_sizes(struct xdp_md *context)
{
	__u32 key = 0, at;
	__u8 *value = bpf_map_lookup_elem(&values, &key);

	if (!value)
		return XDP_PASS;
	switch (context->rx_queue_index) {
	case 0: at = 3; break;
	case 1: at = 17; break;
	case 2: at = EITHER(39, 40); break;
	default: return XDP_PASS;
	}
	OPAQUE(at);
	return value[at] ? XDP_DROP : XDP_PASS;
}
