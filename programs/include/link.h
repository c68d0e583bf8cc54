/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The outermost IP header of a frame. Where rules look into tunnels, struct frame is about the packet inside.
 *
 *     | Ethernet | VLAN tags | IP … | a tunnel's header | IP … |
 *                            ^ link_length()            ^ frame->layer3
 */
#ifndef TIDEGATE_LINK_H
#define TIDEGATE_LINK_H

#include "packet.h"
#include "stage.h"

#define ETHERTYPE_VLAN_9100 0x9100
#define ETHERTYPE_VLAN_9200 0x9200
#define LARGEST_LINK 30 /* bytes of Ethernet and four VLAN tags */
#define FRESH_TTL 64    /* of what the box says itself */

/* Bytes of Ethernet and VLAN tags in front of an IP header; 0 if something else comes behind them. */
static __always_inline __u64 link_length(struct xdp_md *context)
{
	__u64 length = sizeof(struct ethernet);

	for (int i = 0; i <= MAX_VLAN_TAGS; i++) {
		__be16 *type = frame_bytes(context, length - sizeof(*type), sizeof(*type));

		if (!type)
			return 0;
		if (*type == bpf_htons(ETHERTYPE_IPV4) || *type == bpf_htons(ETHERTYPE_IPV6))
			return length;
		if (*type != bpf_htons(ETHERTYPE_VLAN) && *type != bpf_htons(ETHERTYPE_QINQ) &&
		    *type != bpf_htons(ETHERTYPE_VLAN_9100) && *type != bpf_htons(ETHERTYPE_VLAN_9200))
			return 0;
		length += sizeof(struct vlan);
	}
	return 0;
}

/* Back to whoever sent the frame, as if the box were whom it is for. */
static __always_inline void turn_link(struct ethernet *ethernet)
{
	for (int i = 0; i < 6; i++) {
		__u8 byte = ethernet->source[i];

		ethernet->source[i] = ethernet->destination[i];
		ethernet->destination[i] = byte;
	}
}

/* Whether the packet that the frame is about is the outermost: what answers it goes back without a tunnel or labels. */
static __always_inline int is_outermost(struct xdp_md *context, struct frame *frame)
{
	return frame->layer3 == sizeof(struct ethernet) || link_length(context) == frame->layer3;
}

#endif
