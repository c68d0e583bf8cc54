// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The value of a lookup is used without looking. */
#include "corpus.h"

MAP(counts, PERCPU_ARRAY, 4, __u32, __u64);

SEC("xdp")
int null_check(struct xdp_md *context)
{
	__u32 key = context->rx_queue_index;
	__u64 *count = bpf_map_lookup_elem(&counts, &key);

	if (EITHER(count, key))
		*count += 1;
	return XDP_PASS;
}
