// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A static function returns a bounded number, and the caller relies upon it. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[32]);

static __noinline __u32 place(__u32 number)
{
	return number % 7 + (number & EITHER(15, 31));
}

SEC("xdp")
int callees_bounds(struct xdp_md *context)
{
	__u32 key = 0, at = place(context->rx_queue_index) & 63;
	__u8 *value = bpf_map_lookup_elem(&values, &key);

	if (!value)
		return XDP_PASS;
	at = EITHER(at & 31, at);
	return value[at] ? XDP_DROP : XDP_PASS;
}
