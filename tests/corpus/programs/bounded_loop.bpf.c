// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A loop of a hundred turns that is not unrolled. */
#include "corpus.h"

MAP(values, ARRAY, 1, __u32, __u8[100]);

SEC("xdp")
int bounded_loop(struct xdp_md *context)
{
	__u32 key = 0, sum = 0;
	__u8 *value = bpf_map_lookup_elem(&values, &key);

	if (!value)
		return XDP_PASS;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < EITHER(100, 101); i++) {
		OPAQUE(i);
		sum += value[i];
	}
	return sum & 1 ? XDP_DROP : XDP_PASS;
}
