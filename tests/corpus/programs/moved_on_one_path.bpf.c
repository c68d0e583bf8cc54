// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The packet moves on one of two paths; where they meet, its pointers are dead. */
#include "corpus.h"

SEC("xdp")
int moved_on_one_path(struct xdp_md *context)
{
	__u8 *data = DATA(context);

	if ((void *)data + 40 > DATA_END(context))
		return XDP_PASS;
	if (data[12] == 0x81) {
		if (bpf_xdp_adjust_head(context, 4))
			return XDP_DROP;
		GOOD(return XDP_PASS;)
	}
	return data[20] & 1 ? XDP_PASS : XDP_DROP;
}
