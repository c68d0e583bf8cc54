// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* What one branch decides, another asks again: the pointer is set exactly if the flag is. */
#include "corpus.h"

SEC("xdp")
int correlated_branches(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	struct ipv4 *ip = 0;
	__u32 is_ip = 0;

	if (!skip(&cursor, sizeof(*ethernet)))
		return XDP_DROP;
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV4)) {
		ip = cursor.position;
		GOOD(if (!skip(&cursor, sizeof(*ip))) return XDP_DROP;)
		is_ip = 1;
	}
	OPAQUE(is_ip);
	if (context->rx_queue_index > 3)
		bpf_ktime_get_ns();
	if (is_ip)
		return ip->ttl > 1 ? XDP_PASS : XDP_DROP;
	return XDP_PASS;
}
