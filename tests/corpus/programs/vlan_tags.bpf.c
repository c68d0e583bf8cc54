// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Drops frames of VLAN 7, below up to four tags. */
#include "corpus.h"

SEC("xdp")
int vlan_tags(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	__be16 type;

	if (!skip(&cursor, sizeof(*ethernet)))
		return XDP_DROP;
	type = ethernet->type;
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan *vlan = cursor.position;

		if (type != bpf_htons(ETHERTYPE_VLAN) && type != bpf_htons(ETHERTYPE_QINQ))
			break;
		GOOD(if (!skip(&cursor, sizeof(*vlan))) return XDP_DROP;)
		if ((bpf_ntohs(vlan->tag) & 0xfff) == 7)
			return XDP_DROP;
		type = vlan->type;
	}
	return XDP_PASS;
}
