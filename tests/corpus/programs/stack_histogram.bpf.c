// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Counts into an array on the stack, at a variable place. */
#include "corpus.h"

SEC("xdp")
int stack_histogram(struct xdp_md *context)
{
	__u8 *data = DATA(context), *end = DATA_END(context);
	__u32 buckets[16] = {};

	for (int i = 0; i < 14; i++) {
		if (data + i + 1 > end)
			return XDP_PASS;
		buckets[data[i] & EITHER(15, 31)]++;
	}
	return buckets[context->rx_queue_index & 15] ? XDP_PASS : XDP_DROP;
}
