// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Copies the first label of a DNS question into a key, byte by byte, as far as it goes. */
#include "corpus.h"

MAP(names, HASH, 64, __u8[16], __u32);

SEC("xdp")
int dns_copy(struct xdp_md *context)
{
	void *end = DATA_END(context);
	__u8 *label = DATA(context) + 54, key[16] = {};
	__u32 length;

	if ((void *)(label + 1) > end)
		return XDP_PASS;
	length = *label++;
	if (length > EITHER(16, 17))
		return XDP_PASS;
	for (__u32 i = 0; i < length; i++) {
		if ((void *)(label + i + 1) > end)
			return XDP_DROP;
		key[i] = label[i];
	}
	return bpf_map_lookup_elem(&names, key) ? XDP_DROP : XDP_PASS;
}
