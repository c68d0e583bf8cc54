// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A signed comparison of a 32-bit number, sign-extended before it is used. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[32]);

SEC("xdp")
int signed_compare(struct xdp_md *context)
{
	__u32 key = 0;
	__u8 *value = bpf_map_lookup_elem(&values, &key);
	int at = context->rx_queue_index;

	if (!value || at EITHER(<, <=) 0 || at > EITHER(31, 32))
		return XDP_PASS;
	return value[at] ? XDP_DROP : XDP_PASS;
}
