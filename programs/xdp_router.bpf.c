// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Routes IPv4 and IPv6 by the machine's own tables: asks for the way to the destination, lowers the TTL, writes the
 * next hop's Ethernet addresses, and redirects the frame to the interface that it leaves by.
 *
 * What has no way is dropped, as are frames whose TTL ends here and those longer than the MTU; a router would answer
 * them by ICMP. Other protocols, ARP among them, pass.
 */
#include "packet.h"

#define AF_INET 2
#define AF_INET6 10

static __always_inline int forward(struct xdp_md *context, struct ethernet *ethernet, struct bpf_fib_lookup *way)
{
	way->ifindex = context->ingress_ifindex;
	if (bpf_fib_lookup(context, way, sizeof(*way), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_DROP;
	__builtin_memcpy(ethernet->destination, way->dmac, sizeof(ethernet->destination));
	__builtin_memcpy(ethernet->source, way->smac, sizeof(ethernet->source));
	return bpf_redirect(way->ifindex, 0);
}

/* The checksum's share of the TTL: it stands in the upper half of a word, and becomes less by 1 (RFC 1624). */
static __always_inline void lower_ttl(struct ipv4 *ipv4)
{
	__u32 sum = ipv4->checksum + bpf_htons(0x0100);

	ipv4->checksum = sum + (sum >= 0xffff);
	ipv4->ttl--;
}

SEC("xdp")
int xdp_router(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	struct bpf_fib_lookup way = {};

	if (!skip(&cursor, sizeof(*ethernet)))
		return XDP_DROP;
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV4)) {
		struct ipv4 *ipv4 = cursor.position;

		if (!skip(&cursor, sizeof(*ipv4)) || ipv4->ttl <= 1)
			return XDP_DROP;
		way.family = AF_INET;
		way.tos = ipv4->service;
		way.l4_protocol = ipv4->protocol;
		way.tot_len = bpf_ntohs(ipv4->length);
		way.ipv4_src = ipv4->source;
		way.ipv4_dst = ipv4->destination;
		int verdict = forward(context, ethernet, &way);

		if (verdict == XDP_REDIRECT)
			lower_ttl(ipv4);
		return verdict;
	}
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV6)) {
		struct ipv6 *ipv6 = cursor.position;

		if (!skip(&cursor, sizeof(*ipv6)) || ipv6->hop_limit <= 1)
			return XDP_DROP;
		way.family = AF_INET6;
		way.flowinfo = ipv6->version_class_flow & bpf_htonl(0x0fffffff);
		way.l4_protocol = ipv6->next;
		way.tot_len = bpf_ntohs(ipv6->payload_length) + sizeof(*ipv6);
		__builtin_memcpy(way.ipv6_src, ipv6->source, sizeof(way.ipv6_src));
		__builtin_memcpy(way.ipv6_dst, ipv6->destination, sizeof(way.ipv6_dst));
		int verdict = forward(context, ethernet, &way);

		if (verdict == XDP_REDIRECT)
			ipv6->hop_limit--;
		return verdict;
	}
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
