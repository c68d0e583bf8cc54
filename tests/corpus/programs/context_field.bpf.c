// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Fields of the context are read; those of XDP can't be written. */
#include "corpus.h"

SEC("xdp")
int context_field(struct xdp_md *context)
{
	__u32 queue = context->rx_queue_index;

	EITHER(OPAQUE(queue), context->rx_queue_index = 0);
	return queue ? XDP_PASS : XDP_DROP;
}
