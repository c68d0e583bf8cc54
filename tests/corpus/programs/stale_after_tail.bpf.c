// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A pointer from before adjust_tail is dead behind it. */
#include "corpus.h"

SEC("xdp")
int stale_after_tail(struct xdp_md *context)
{
	__u8 *data = DATA(context);

	if ((void *)data + 64 > DATA_END(context))
		return XDP_PASS;
	if (bpf_xdp_adjust_tail(context, -4))
		return XDP_DROP;
	GOOD(data = DATA(context); if ((void *)data + 14 > DATA_END(context)) return XDP_DROP;)
	return data[12] == 8 ? XDP_PASS : XDP_DROP;
}
