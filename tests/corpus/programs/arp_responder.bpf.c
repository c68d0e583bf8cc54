// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Answers ARP requests: writes addresses into the packet. */
#include "corpus.h"

struct arp {
	__be16 hardware, protocol;
	__u8 sizes[2];
	__be16 operation;
	__u8 sender[6], sender_ip[4], target[6], target_ip[4];
};

SEC("xdp")
int arp_responder(struct xdp_md *context)
{
	struct ethernet *ethernet = DATA(context);
	struct arp *arp = (void *)(ethernet + 1);
	__u8 address[4];

	if ((void *)(EITHER(arp + 1, &arp->target)) > DATA_END(context) || arp->operation != bpf_htons(1))
		return XDP_PASS;
	__builtin_memcpy(address, arp->target_ip, 4);
	__builtin_memcpy(arp->target, arp->sender, 6);
	__builtin_memcpy(arp->target_ip, arp->sender_ip, 4);
	__builtin_memcpy(arp->sender_ip, address, 4);
	arp->operation = bpf_htons(2);
	return XDP_TX;
}
