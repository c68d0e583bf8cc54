// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What is in the frame: the EtherType of a frame that is long enough. */
#include "corpus.h"

SEC("xdp")
int ether_type(struct xdp_md *context)
{
	struct ethernet *ethernet = DATA(context);

	GOOD(if ((void *)(ethernet + 1) > DATA_END(context)) return XDP_ABORTED;)
	return ethernet->type == bpf_htons(ETHERTYPE_IPV4) ? XDP_PASS : XDP_DROP;
}
