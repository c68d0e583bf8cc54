// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The TCP header behind an IPv4 header with options: its place is data. */
#include "corpus.h"

SEC("xdp")
int ipv4_header_length(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ipv4 *ip;
	struct tcp *tcp;
	__u32 length;

	if (!skip(&cursor, sizeof(struct ethernet)))
		return XDP_PASS;
	ip = cursor.position;
	if ((void *)(ip + 1) > cursor.end || ip->protocol != PROTOCOL_TCP)
		return XDP_PASS;
	length = (ip->version_length & 15) * 4;
	if (length < sizeof(*ip))
		return XDP_DROP;
	tcp = cursor.position + length;
	GOOD(if ((void *)(tcp + 1) > cursor.end) return XDP_DROP;)
	return tcp->flags & TCP_SYN ? XDP_DROP : XDP_PASS;
}
