// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A bit map of the ports that a source has touched: word and bit from the port. */
#include "corpus.h"

struct ports { __u64 words[16]; };
MAP(scanners, LRU_HASH, 256, __be32, struct ports);

SEC("xdp")
int port_scan(struct xdp_md *context)
{
	struct ipv4 *ip = DATA(context) + sizeof(struct ethernet);
	struct tcp *tcp = (void *)(ip + 1);
	struct ports *ports;
	__be32 source;
	__u16 port;

	if ((void *)(tcp + 1) > DATA_END(context))
		return XDP_PASS;
	source = ip->source;
	port = bpf_ntohs(tcp->destination);
	ports = bpf_map_lookup_elem(&scanners, &source);
	if (!ports)
		return XDP_PASS;
	ports->words[(port >> EITHER(6, 5)) & EITHER(15, 31)] |= 1ull << (port & 63);
	return XDP_PASS;
}
