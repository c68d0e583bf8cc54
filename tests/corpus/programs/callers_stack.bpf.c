// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A function fills in what the caller has on its stack. */
#include "corpus.h"

MAP(flows, HASH, 64, __u64, __u64);
struct flow { __be32 source, destination; };

static __noinline int parse(struct xdp_md *context, struct flow *flow)
{
	struct ipv4 *ip = DATA(context) + sizeof(struct ethernet);

	if ((void *)(ip + 1) > DATA_END(context))
		return -1;
	flow->source = ip->source;
	GOOD(flow->destination = ip->destination;)
	return 0;
}

SEC("xdp")
int callers_stack(struct xdp_md *context)
{
	struct flow flow;

	if (parse(context, &flow))
		return XDP_PASS;
	return bpf_map_lookup_elem(&flows, &flow) ? XDP_DROP : XDP_PASS;
}
