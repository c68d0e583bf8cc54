// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A ring buffer's record is submitted, or discarded, on every path. */
#include "corpus.h"

RING(events, 4096);
struct event { __u32 source; __u32 length; };

SEC("xdp")
int record_balance(struct xdp_md *context)
{
	struct ipv4 *ip = DATA(context) + sizeof(struct ethernet);
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return XDP_PASS;
	if ((void *)(ip + 1) > DATA_END(context)) {
		GOOD(bpf_ringbuf_discard(event, 0);)
		return XDP_DROP;
	}
	event->source = ip->source;
	event->length = ip->length;
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}
