// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Two unknown numbers in order: what is known of the greater holds for the less. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[64]);

SEC("xdp")
int compare_registers(struct xdp_md *context)
{
	__u32 key = 0, at = context->rx_queue_index, limit = context->ingress_ifindex & EITHER(63, 127);
	__u8 *value = bpf_map_lookup_elem(&values, &key);

	if (!value || at > limit)
		return XDP_PASS;
	return value[at] ? XDP_DROP : XDP_PASS;
}
