// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Two bounded numbers added to the start of the packet. */
#include "corpus.h"

SEC("xdp")
int two_offsets(struct xdp_md *context)
{
	void *data = DATA(context), *end = DATA_END(context);
	__u32 one = context->rx_queue_index & 0xff, two = context->ingress_ifindex & 0xff;
	__u16 *place = data + one + two;

	if ((void *)place + EITHER(2, 1) > end)
		return XDP_PASS;
	return *place ? XDP_PASS : XDP_DROP;
}
