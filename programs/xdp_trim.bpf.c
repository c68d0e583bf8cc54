// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Cuts off what follows an IPv4 packet in its frame: padding, and whatever somebody hid there. A frame that is
 * shorter than its packet claims is dropped.
 *
 *     | Ethernet | IPv4 packet, `length` bytes | trailer |
 */
#include "packet.h"

SEC("xdp")
int xdp_trim(struct xdp_md *context)
{
	__u32 size = context->data_end - context->data;
	struct cursor cursor = cursor_at_start(context);
	struct ethernet *ethernet = cursor.position;
	struct ipv4 *ip;
	__u32 wanted;

	if (!skip(&cursor, sizeof(*ethernet)))
		return XDP_DROP;
	if (ethernet->type != bpf_htons(ETHERTYPE_IPV4))
		return XDP_PASS;
	ip = cursor.position;
	if (!skip(&cursor, sizeof(*ip)))
		return XDP_DROP;
	wanted = sizeof(*ethernet) + bpf_ntohs(ip->length);
	if (wanted > size || wanted < sizeof(*ethernet) + sizeof(*ip))
		return XDP_DROP;
	if (wanted < size && bpf_xdp_adjust_tail(context, (int)(wanted - size)))
		return XDP_ABORTED;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
