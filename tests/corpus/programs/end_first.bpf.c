// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The end of the frame stands first in the comparison. */
#include "corpus.h"

SEC("xdp")
int end_first(struct xdp_md *context)
{
	struct ethernet *ethernet = DATA(context);
	struct ipv4 *ip = (void *)(ethernet + 1);
	void *end = DATA_END(context);

	if (end EITHER(>=, <) (void *)(ip + 1))
		return ip->protocol == PROTOCOL_UDP ? XDP_DROP : XDP_PASS;
	return XDP_ABORTED;
}
