// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Settings and counters as global variables; an index into them is bounded. */
#include "corpus.h"

const volatile __u32 limit = 100;
__u64 packets[8];
static volatile __u32 last;

SEC("xdp")
int global_variables(struct xdp_md *context)
{
	__u32 queue = context->rx_queue_index;

	if (queue >= EITHER(8, 9))
		return XDP_PASS;
	last = queue;
	return ++packets[queue] > limit ? XDP_DROP : XDP_PASS;
}
