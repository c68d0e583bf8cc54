// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A signed 32-bit number must be bounded on both sides. */
#include "corpus.h"

SEC("xdp")
int signed_offset(struct xdp_md *context)
{
	__u8 *data = DATA(context);
	int at = (int)context->rx_queue_index;

	if ((void *)data + 64 > DATA_END(context))
		return XDP_PASS;
	OPAQUE(at);
	if (at > 31 || at < EITHER(0, -8))
		return XDP_DROP;
	return data[at] ? XDP_PASS : XDP_DROP;
}
