/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The packet that an ICMP error quotes (RFC 792, RFC 4443).
 *
 *     error    IP │ ICMP │ IP header of the packet │ the first 8 bytes behind it, or more
 *                  8 bytes  offset                    ports, and of TCP the sequence number
 */
#ifndef TIDEGATE_QUOTED_PACKET_H
#define TIDEGATE_QUOTED_PACKET_H

#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>

#include "stage.h"

#define ICMP_HEADER 8
#define QUOTED_EXTENSIONS 4

struct quoted {
	struct address source;
	struct address destination;
	__u64 offset; /* of what stands behind the IP header */
	__u8 protocol;
};

struct quoted_v4 {
	__u8 version_and_length;
	__u8 service;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__be32 source;
	__be32 destination;
};

struct quoted_v6 {
	__be32 version_and_flow;
	__be16 length;
	__u8 next;
	__u8 hops;
	__be32 source[4];
	__be32 destination[4];
};

static __always_inline struct address address_of_v4(__be32 address)
{
	struct address mapped = { .high = 0, .low = 0xffff00000000ULL | bpf_ntohl(address) };

	return mapped;
}

static __always_inline struct address address_of_v6(const __be32 *words)
{
	struct address address = {
		.high = (__u64)bpf_ntohl(words[0]) << 32 | bpf_ntohl(words[1]),
		.low = (__u64)bpf_ntohl(words[2]) << 32 | bpf_ntohl(words[3]),
	};

	return address;
}

static __always_inline bool quoted_read_v4(struct xdp_md *context, __u64 offset, struct quoted *quoted)
{
	struct quoted_v4 *header = frame_bytes(context, offset, sizeof(*header));

	if (!header || header->version_and_length >> 4 != 4 || header->fragment & bpf_htons(0x1fff))
		return false;
	quoted->source = address_of_v4(header->source);
	quoted->destination = address_of_v4(header->destination);
	quoted->protocol = header->protocol;
	quoted->offset = offset + 4 * (header->version_and_length & 15);
	return true;
}

static __always_inline bool quoted_read_v6(struct xdp_md *context, __u64 offset, struct quoted *quoted)
{
	struct quoted_v6 *header = frame_bytes(context, offset, sizeof(*header));

	if (!header || (header->version_and_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return false;
	quoted->source = address_of_v6(header->source);
	quoted->destination = address_of_v6(header->destination);
	quoted->protocol = header->next;
	quoted->offset = offset + sizeof(*header);
	for (int i = 0; i < QUOTED_EXTENSIONS; i++) {
		__u8 kind = quoted->protocol, *extension;

		if (kind != IPPROTO_HOPOPTS && kind != IPPROTO_ROUTING && kind != IPPROTO_FRAGMENT && kind != IPPROTO_DSTOPTS)
			break;
		extension = frame_bytes(context, quoted->offset, 8);
		if (!extension || (kind == IPPROTO_FRAGMENT && (extension[2] | (extension[3] & 0xf8))))
			return false;
		quoted->protocol = extension[0];
		quoted->offset += kind == IPPROTO_FRAGMENT ? 8 : 8 * (1 + extension[1]);
	}
	return true;
}

/* Read the packet that the frame quotes, of its own family: an IP header, and no later fragment. */
static __always_inline bool quoted_read(struct xdp_md *context, const struct frame *frame, struct quoted *quoted)
{
	__u64 offset = frame->layer4 + ICMP_HEADER;

	return frame->version == VERSION_4 ? quoted_read_v4(context, offset, quoted) : quoted_read_v6(context, offset, quoted);
}

#endif
