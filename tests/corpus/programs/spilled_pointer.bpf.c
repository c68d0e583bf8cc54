// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A packet pointer is spilled over a call, and keeps what was proved of it; a helper's memory is written first. */
#include "corpus.h"

SEC("xdp")
int spilled_pointer(struct xdp_md *context)
{
	void *volatile saved = DATA(context);
	struct ipv4 *ip;

	if (saved + sizeof(struct ethernet) + EITHER(sizeof(*ip), 4) > DATA_END(context))
		return XDP_PASS;
	bpf_ktime_get_ns();
	ip = saved + sizeof(struct ethernet);
	return ip->protocol == PROTOCOL_TCP ? XDP_PASS : XDP_DROP;
}
