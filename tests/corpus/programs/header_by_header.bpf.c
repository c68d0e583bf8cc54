// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Drops IPv4 TCP to port 23 (telnet), checking one header after the other. */
#include "corpus.h"

SEC("xdp")
int header_by_header(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	struct ipv4 *ip;
	struct tcp *tcp;

	if (!skip(&cursor, sizeof(*ethernet)) || ethernet->type != bpf_htons(ETHERTYPE_IPV4))
		return XDP_PASS;
	ip = cursor.position;
	if (!skip(&cursor, EITHER(sizeof(*ip), 8)) || ip->protocol != PROTOCOL_TCP)
		return XDP_PASS;
	tcp = cursor.position;
	if (!skip(&cursor, sizeof(*tcp)))
		return XDP_DROP;
	return tcp->destination == bpf_htons(23) ? XDP_DROP : XDP_PASS;
}
