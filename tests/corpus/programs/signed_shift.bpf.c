// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* An arithmetic shift of a signed byte: -8 to 7, moved into the array. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[16]);

SEC("xdp")
int signed_shift(struct xdp_md *context)
{
	__u32 key = 0;
	__u8 *value = bpf_map_lookup_elem(&values, &key);
	long at = (signed char)context->rx_queue_index;

	if (!value)
		return XDP_PASS;
	at >>= 4;
	OPAQUE(at);
	return value[at + EITHER(8, 7)] ? XDP_DROP : XDP_PASS;
}
