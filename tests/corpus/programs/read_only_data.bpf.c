// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A constant table is read; it can't be written. */
#include "corpus.h"

static const volatile __u8 table[16] = {1, 2, 3, 5, 8, 13};

SEC("xdp")
int read_only_data(struct xdp_md *context)
{
	__u32 at = context->rx_queue_index & 15;

	EITHER(OPAQUE(at), asm volatile("*(u8 *)(%0 + 0) = %1" : : "r"(table), "r"(at)));
	return table[at] & 1 ? XDP_DROP : XDP_PASS;
}
