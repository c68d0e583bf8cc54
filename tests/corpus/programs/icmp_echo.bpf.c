// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Answers pings: changes the type, and the checksum with it. */
#include "corpus.h"

struct icmp { __u8 type, code; __be16 checksum; };

SEC("xdp")
int icmp_echo(struct xdp_md *context)
{
	struct ipv4 *ip = DATA(context) + sizeof(struct ethernet);
	struct icmp *icmp = (void *)(ip + 1);
	__u32 sum;
	__be32 address;

	if ((void *)(EITHER(icmp + 1, &icmp->checksum)) > DATA_END(context) || ip->protocol != 1 || icmp->type != 8)
		return XDP_PASS;
	address = ip->source;
	ip->source = ip->destination;
	ip->destination = address;
	icmp->type = 0;
	sum = icmp->checksum + bpf_htons(0x0800);
	icmp->checksum = sum + (sum >> 16);
	return XDP_TX;
}
