// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The same walk over two tags, unrolled. */
#include "corpus.h"

SEC("xdp")
int vlan_unrolled(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	struct ipv4 *ip;
	__be16 type;

	if (!skip(&cursor, sizeof(*ethernet)))
		return XDP_DROP;
	type = ethernet->type;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct vlan *vlan = cursor.position;

		if (type != bpf_htons(ETHERTYPE_VLAN))
			break;
		if (!skip(&cursor, sizeof(*vlan)))
			return XDP_DROP;
		type = vlan->type;
	}
	ip = cursor.position;
	GOOD(if (!skip(&cursor, sizeof(*ip))) return XDP_DROP;)
	return ip->ttl == 1 ? XDP_DROP : XDP_PASS;
}
