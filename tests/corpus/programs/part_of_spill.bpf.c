// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The low half of a spilled number indexes a value. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u32[16]);

SEC("xdp")
int part_of_spill(struct xdp_md *context)
{
	volatile union { __u64 whole; __u32 half[2]; } number = {.whole = context->rx_queue_index & 0xff};
	__u32 key = 0, *value = bpf_map_lookup_elem(&values, &key), at = number.half[0];

	if (!value || at >= EITHER(16, 17))
		return XDP_PASS;
	return value[at] ? XDP_DROP : XDP_PASS;
}
