// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The processor's number, bounded before it is an index. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u64[128]);

SEC("xdp")
int helper_range(struct xdp_md *context)
{
	__u32 key = 0, processor = bpf_get_smp_processor_id();
	__u64 *value = bpf_map_lookup_elem(&values, &key);

	if (!value || processor > EITHER(127, 128))
		return XDP_PASS;
	return value[processor] ? XDP_DROP : XDP_PASS;
}
