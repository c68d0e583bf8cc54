// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A count of 8-byte units, as in IPv6 extension headers, scaled and bounded. */
#include "corpus.h"

SEC("xdp")
int scaled_offset(struct xdp_md *context)
{
	__u8 *data = DATA(context);
	__u32 units = context->rx_queue_index;

	if ((void *)data + 128 > DATA_END(context) || units > EITHER(7, 8))
		return XDP_PASS;
	return *(__u32 *)(data + 68 + units * 8) ? XDP_PASS : XDP_DROP;
}
