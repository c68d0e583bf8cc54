// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Two loops, one inside the other, over rows and columns of a value. */
#include "corpus.h"

MAP(grid, ARRAY, 1, __u32, __u8[8][8]);

SEC("xdp")
int nested_loops(struct xdp_md *context)
{
	__u32 key = 0, sum = 0;
	__u8 (*rows)[8] = bpf_map_lookup_elem(&grid, &key);

	if (!rows)
		return XDP_PASS;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 8; i++)
#pragma clang loop unroll(disable)
		for (__u32 j = 0; j < EITHER(8, 9); j++) {
			OPAQUE(j);
			sum ^= rows[i][j];
		}
	return sum ? XDP_DROP : XDP_PASS;
}
