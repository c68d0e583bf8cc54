/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Headers of frames, and a cursor that walks over them.
 *
 *     data                                                            data_end
 *       | Ethernet | VLAN ... | IPv4 or IPv6 | extensions | TCP, UDP | payload |
 *                             ^ cursor.position
 *
 * Every step checks the end of the frame first, in the one form that each verifier understands:
 * position + size > end. Multi-byte fields are in network byte order.
 */
#ifndef TIDEGATE_PACKET_H
#define TIDEGATE_PACKET_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_VLAN 0x8100 /* IEEE 802.1Q, customer tag */
#define ETHERTYPE_QINQ 0x88a8 /* IEEE 802.1ad, service tag */

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_AUTHENTICATION 51
#define PROTOCOL_DESTINATION 60
#define PROTOCOL_MOBILITY 135
#define PROTOCOL_HOST_IDENTITY 139
#define PROTOCOL_SHIM6 140

#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_MORE_FRAGMENTS 0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8

#define TCP_SYN 0x02
#define TCP_ACK 0x10

#define MAX_VLAN_TAGS 4
#define MAX_EXTENSIONS 6

struct ethernet {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
};

struct vlan {
	__be16 tag; /* priority 3 bits, drop eligible 1, identifier 12 */
	__be16 type;
};

struct ipv4 {
	__u8 version_length; /* version 4 bits, header length in words 4 bits */
	__u8 service;
	__be16 length;
	__be16 identification;
	__be16 fragment; /* flags 3 bits, offset in units of 8 bytes 13 bits */
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
};

struct ipv6 {
	__be32 version_class_flow;
	__be16 payload_length;
	__u8 next;
	__u8 hop_limit;
	__be32 source[4];
	__be32 destination[4];
};

struct ipv6_extension {
	__u8 next;
	__u8 length; /* in units of 8 bytes beyond the first; AH: of 4 bytes beyond the second */
	__be16 fragment;
	__be32 rest;
};

struct tcp {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgement;
	__u8 header_length; /* in words 4 bits, reserved 4 bits */
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};

struct udp {
	__be16 source;
	__be16 destination;
	__be16 length;
	__be16 checksum;
};

struct cursor {
	void *position;
	void *end;
};

static __always_inline struct cursor cursor_at_start(struct xdp_md *context)
{
	struct cursor cursor = {
		.position = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
	};
	return cursor;
}

/* Moves over the next `size` bytes; false if the frame ends before them, and then the cursor stays. */
static __always_inline int skip(struct cursor *cursor, __u32 size)
{
	void *next = cursor->position + size;

	if (next > cursor->end)
		return 0;
	cursor->position = next;
	return 1;
}

#endif
