// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Walks over IPv6 extension headers to the transport protocol. */
#include "corpus.h"

SEC("xdp")
int ipv6_extensions(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ipv6 *ip;
	__u8 next;

	if (!skip(&cursor, sizeof(struct ethernet)))
		return XDP_PASS;
	ip = cursor.position;
	if (!skip(&cursor, sizeof(*ip)))
		return XDP_PASS;
	next = ip->next;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		struct ipv6_extension *extension = cursor.position;

		if (next != PROTOCOL_HOP_BY_HOP && next != PROTOCOL_DESTINATION && next != PROTOCOL_ROUTING)
			return next == PROTOCOL_UDP ? XDP_DROP : XDP_PASS;
		if (!skip(&cursor, EITHER(sizeof(*extension), 1)))
			return XDP_DROP;
		next = extension->next;
		if (!skip(&cursor, extension->length * 8))
			return XDP_DROP;
	}
	return XDP_DROP;
}
