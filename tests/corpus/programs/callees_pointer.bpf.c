// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A function moves a packet pointer that the caller keeps on its stack. */
#include "corpus.h"

static __noinline int take(struct cursor *cursor, __u32 size)
{
	if (size > 64 || cursor->position + size > cursor->end)
		return 0;
	cursor->position += size;
	return 1;
}

SEC("xdp")
int callees_pointer(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ipv4 *ip;

	if (!take(&cursor, sizeof(struct ethernet)))
		return XDP_PASS;
	ip = cursor.position;
	if (!take(&cursor, EITHER(sizeof(*ip), 8)))
		return XDP_PASS;
	return ip->protocol == PROTOCOL_UDP ? XDP_DROP : XDP_PASS;
}
