// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A test of bits bounds a number. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[16]);

SEC("xdp")
int bits_tested(struct xdp_md *context)
{
	__u64 at = context->rx_queue_index;
	__u32 key = 0;
	__u8 *value = bpf_map_lookup_elem(&values, &key);

	if (!value)
		return XDP_PASS;
	OPAQUE(at);
	if (at & EITHER(~15ull, ~31ull))
		return XDP_PASS;
	OPAQUE(at);
	return value[at] ? XDP_DROP : XDP_PASS;
}
