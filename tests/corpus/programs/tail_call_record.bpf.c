// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* No record may be held where another program takes over. */
#include "corpus.h"

RING(events, 4096);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

SEC("xdp")
int tail_call_record(struct xdp_md *context)
{
	__u32 *event = bpf_ringbuf_reserve(&events, 4, 0);

	if (!event)
		return XDP_PASS;
	*event = context->ingress_ifindex;
	GOOD(bpf_ringbuf_submit(event, 0); if (0))
	bpf_tail_call(context, &next, 0);
	EITHER(OPAQUE(context), bpf_ringbuf_submit(event, 0));
	return XDP_PASS;
}
