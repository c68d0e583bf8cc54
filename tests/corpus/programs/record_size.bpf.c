// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A record is written as far as it was reserved. */
#include "corpus.h"

RING(events, 4096);

SEC("xdp")
int record_size(struct xdp_md *context)
{
	__u64 *event = bpf_ringbuf_reserve(&events, EITHER(24, 16), 0);

	if (!event)
		return XDP_PASS;
	event[0] = bpf_ktime_get_ns();
	event[2] = context->ingress_ifindex;
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}
