// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Sends every frame back to where it came from, with the two MAC addresses swapped. */
#include "packet.h"

SEC("xdp")
int xdp_swap(struct xdp_md *context)
{
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	__u8 source[6];

	if (!skip(&cursor, sizeof(*ethernet)))
		return XDP_DROP;
	__builtin_memcpy(source, ethernet->source, sizeof(source));
	__builtin_memcpy(ethernet->source, ethernet->destination, sizeof(source));
	__builtin_memcpy(ethernet->destination, source, sizeof(source));
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
