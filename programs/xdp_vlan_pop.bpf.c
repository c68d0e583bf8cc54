// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Takes the outermost VLAN tag off a frame; a frame without one passes as it is.
 *
 *     before   | destination | source | 0x8100 | tag | type | ...
 *     after            | destination | source | type | ...
 */
#include "packet.h"

#define ADDRESSES 12 /* both of them */

SEC("xdp")
int xdp_vlan_pop(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	__u8 addresses[ADDRESSES];

	if (!skip(&cursor, sizeof(*ethernet)) || !skip(&cursor, sizeof(struct vlan)))
		return XDP_PASS;
	if (ethernet->type != bpf_htons(ETHERTYPE_VLAN) && ethernet->type != bpf_htons(ETHERTYPE_QINQ))
		return XDP_PASS;
	__builtin_memcpy(addresses, ethernet, ADDRESSES);

	if (bpf_xdp_adjust_head(context, sizeof(struct vlan)))
		return XDP_ABORTED;
	/* The type behind the tag is in its place already; only the addresses move. */
	cursor = cursor_at_start(context);
	ethernet = cursor.position;
	if (!skip(&cursor, sizeof(*ethernet)))
		return XDP_ABORTED;
	__builtin_memcpy(ethernet, addresses, ADDRESSES);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
