// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A quotient of any 32-bit number is bounded by the divisor. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[14]);

SEC("xdp")
int quotient(struct xdp_md *context)
{
	__u32 key = 0, at = context->rx_queue_index / EITHER(306783379, 286331153);
	__u8 *value = bpf_map_lookup_elem(&values, &key);

	return value && value[at] ? XDP_DROP : XDP_PASS;
}
