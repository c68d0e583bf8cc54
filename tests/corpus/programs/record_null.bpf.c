// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* There may be no room for a record. */
#include "corpus.h"

RING(events, 4096);

SEC("xdp")
int record_null(struct xdp_md *context)
{
	__u64 *event = bpf_ringbuf_reserve(&events, 8, 0);

	GOOD(if (!event) return XDP_PASS;)
	*event = bpf_ktime_get_ns();
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}
