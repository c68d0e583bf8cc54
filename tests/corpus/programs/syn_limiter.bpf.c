// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Lets each source open 100 connections, and drops its other SYNs. */
#include "corpus.h"

struct source { __u64 count; };
MAP(sources, LRU_HASH, 1024, __be32, struct source);

SEC("xdp")
int syn_limiter(struct xdp_md *context)
{
	struct ethernet *ethernet = DATA(context);
	struct ipv4 *ip = (void *)(ethernet + 1);
	struct tcp *tcp = (void *)(ip + 1);
	struct source *source, first = {1};
	__be32 address;

	if ((void *)(tcp + 1) > DATA_END(context))
		return XDP_PASS;
	if (ip->protocol != PROTOCOL_TCP || (tcp->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return XDP_PASS;
	address = ip->source;
	source = bpf_map_lookup_elem(&sources, &address);
	if (EITHER(!source, !address)) {
		bpf_map_update_elem(&sources, &address, &first, BPF_ANY);
		return XDP_PASS;
	}
	return __sync_fetch_and_add(&source->count, 1) < 100 ? XDP_PASS : XDP_DROP;
}
