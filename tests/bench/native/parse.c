// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Ethernet, up to two VLAN tags, IPv4 with options or IPv6 with extension headers, TCP with options or UDP. Structures
 * are laid down as Linux's headers do it: that of Ethernet is packed, so that its fields are read byte by byte.
 */
#include "program.h"

struct ethernet {
	u8 target[6], source[6];
	u16 type;
} __attribute__((packed));

struct vlan {
	u16 id, type;
};

struct ipv4 {
	u8 version_length, tos;
	u16 length, id, fragment;
	u8 ttl, protocol;
	u16 checksum;
	u32 source, target;
};

struct ipv6 {
	u32 flow;
	u16 length;
	u8 next, hops;
	u32 source[4], target[4];
};

struct extension {
	u8 next, length;
	u8 rest[6];
};

struct ports {
	u16 source, target;
};

struct tcp {
	struct ports ports;
	u32 sequence, acknowledged;
	u8 offset, flags;
	u16 window, checksum, urgent;
};

static u64 result(u8 *at, u8 *end)
{
	struct ethernet *ethernet = (void *)at;
	u32 hash = 0;
	u16 type;
	u8 protocol;

	at += sizeof(*ethernet);
	if (at > end)
		return 1;
	type = ethernet->type;
#pragma unroll
	for (int tags = 0; tags < 2; tags++) {
		struct vlan *vlan = (void *)at;

		if (type != swap16(0x8100) && type != swap16(0x88a8))
			break;
		if (at + sizeof(*vlan) > end)
			return 2;
		hash = hash * 31 + (swap16(vlan->id) & 0xfff);
		type = vlan->type;
		at += sizeof(*vlan);
	}
	if (type == swap16(0x0800)) {
		struct ipv4 *ip = (void *)at;
		u32 length;

		if (at + sizeof(*ip) > end)
			return 3;
		length = (ip->version_length & 15) * 4;
		if (ip->version_length >> 4 != 4 || length < sizeof(*ip))
			return 4;
		if (ip->fragment & swap16(0x3fff))
			return 5;
		protocol = ip->protocol;
		hash = (hash * 31 + ip->source) * 31 + ip->target;
		at += length;
	} else if (type == swap16(0x86dd)) {
		struct ipv6 *ip = (void *)at;

		if (at + sizeof(*ip) > end)
			return 6;
		protocol = ip->next;
#pragma unroll
		for (int word = 0; word < 4; word++)
			hash = (hash * 31 + ip->source[word]) * 31 + ip->target[word];
		at += sizeof(*ip);
#pragma unroll
		for (int headers = 0; headers < 4; headers++) {
			struct extension *extension = (void *)at;

			if (protocol != 0 && protocol != 43 && protocol != 60)
				break;
			if (at + sizeof(*extension) > end)
				return 7;
			protocol = extension->next;
			at += 8 + extension->length * 8;
		}
	} else {
		return 8;
	}
	if (protocol == 6) {
		struct tcp *tcp = (void *)at;

		if (at + sizeof(*tcp) > end)
			return 9;
		hash = hash * 31 + swap16(tcp->ports.source);
		hash = hash * 31 + swap16(tcp->ports.target);
		hash = hash * 31 + tcp->flags;
		hash = hash * 31 + swap32(tcp->sequence);
	} else if (protocol == 17) {
		struct ports *ports = (void *)at;

		if (at + sizeof(*ports) > end)
			return 10;
		hash = hash * 31 + swap16(ports->source);
		hash = hash * 31 + swap16(ports->target);
	} else {
		return 11;
	}
	return hash;
}
