// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Sums up bytes of the packet in a callback of bpf_loop. */
#include "corpus.h"

struct sum { void *data, *end; __u32 sum; };

static long add(__u32 index, struct sum *sum)
{
	__u8 *byte = sum->data + (index & 0xff);

	if ((void *)byte + EITHER(1, 0) > sum->end)
		return 1;
	sum->sum += *byte;
	return 0;
}

SEC("xdp")
int loop_helper(struct xdp_md *context)
{
	struct sum sum = {DATA(context), DATA_END(context), 0};

	bpf_loop(1500, add, &sum, 0);
	return sum.sum & 1 ? XDP_DROP : XDP_PASS;
}
