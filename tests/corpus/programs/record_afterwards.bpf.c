// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A record that was submitted belongs to the consumer. */
#include "corpus.h"

RING(events, 4096);

SEC("xdp")
int record_afterwards(struct xdp_md *context)
{
	__u64 *event = bpf_ringbuf_reserve(&events, 16, 0);

	if (!event)
		return XDP_PASS;
	GOOD(event[1] = 5;)
	event[0] = 1;
	bpf_ringbuf_submit(event, 0);
	EITHER(OPAQUE(context), event[1] = 5);
	return XDP_PASS;
}
