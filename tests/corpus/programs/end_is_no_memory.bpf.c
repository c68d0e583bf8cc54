// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The end of the packet is a mark, and no memory. */
#include "corpus.h"

SEC("xdp")
int end_is_no_memory(struct xdp_md *context)
{
	__u8 *data = DATA(context);

	if ((void *)data + 1 > DATA_END(context))
		return XDP_PASS;
	return *(EITHER(data, (__u8 *)DATA_END(context))) ? XDP_PASS : XDP_DROP;
}
