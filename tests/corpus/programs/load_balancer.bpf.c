// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Picks a backend by a hash of addresses and ports, and rewrites the destination. */
#include "corpus.h"

struct backend { __be32 address; __u8 hardware[6]; __u16 rest; };
MAP(backends, ARRAY, 16, __u32, struct backend);

SEC("xdp")
int load_balancer(struct xdp_md *context)
{
	struct ethernet *ethernet = DATA(context);
	struct ipv4 *ip = (void *)(ethernet + 1);
	struct udp *udp = (void *)(ip + 1);
	struct backend *backend;
	__u32 hash;

	if ((void *)(udp + 1) > DATA_END(context) || ip->protocol != PROTOCOL_UDP)
		return XDP_PASS;
	hash = (ip->source ^ ip->destination ^ udp->source) * 0x9e3779b1u >> 28;
	backend = bpf_map_lookup_elem(&backends, &hash);
	GOOD(if (!backend) return XDP_DROP;)
	ip->destination = backend->address;
	__builtin_memcpy(ethernet->destination, backend->hardware, 6);
	return XDP_TX;
}
