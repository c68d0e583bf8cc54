// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Small numbers are spilled in every size, read back, and still bounded. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[64]);

SEC("xdp")
int spilled_bytes(struct xdp_md *context)
{
	volatile __u8 one = context->rx_queue_index & EITHER(15, 127);
	volatile __u16 two = context->ingress_ifindex & 15;
	volatile __u32 four = context->rx_queue_index & 15;
	volatile __u64 eight = context->ingress_ifindex & 15;
	__u32 key = 0;
	__u8 *value = bpf_map_lookup_elem(&values, &key);

	return value && value[one + two + four + eight] ? XDP_DROP : XDP_PASS;
}
