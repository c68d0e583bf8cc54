/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The packet that an ICMP error quotes: whose flow it is of, and whether it can be.
 *
 *     error    IP │ ICMP │ IP header of the packet │ the first 8 bytes behind it
 *                  8 bytes  offset                    ports, and of TCP the sequence number
 *
 * An error goes back to whoever sent the packet (RFC 5508 section 4): what it quotes went the other way, to its source
 * from its destination. Of TCP it must quote a segment that is on its way (RFC 5927 section 4.1).
 */
#ifndef TIDEGATE_FLOW_QUOTED_H
#define TIDEGATE_FLOW_QUOTED_H

#include "flow.h"
#include "flow_window.h"

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

/* The flow's key by what is quoted; its sequence number, or its identifier in both ports. */
static __always_inline bool quoted_key(struct xdp_md *context, struct frame *frame, struct flow_key *key, __u32 *sequence)
{
	struct quoted quoted = {};
	__u32 sender = 0, receiver = 0;
	__be16 *ports;
	bool found, is_ports, is_icmp, inward = frame->way == WAY_IN;

	found = frame->version == VERSION_4 ? quoted_read_v4(context, frame->layer4 + ICMP_HEADER, &quoted) :
					      quoted_read_v6(context, frame->layer4 + ICMP_HEADER, &quoted);
	if (!found || quoted.source.low != frame->destination.low || quoted.source.high != frame->destination.high)
		return false;
	key->inside = inward ? quoted.source : quoted.destination;
	key->outside = inward ? quoted.destination : quoted.source;
	is_ports = quoted.protocol == IPPROTO_TCP || quoted.protocol == IPPROTO_UDP;
	is_icmp = quoted.protocol == IPPROTO_ICMP || quoted.protocol == IPPROTO_ICMPV6;
	if (is_ports || is_icmp) {
		ports = frame_bytes(context, quoted.offset, 8);
		if (!ports)
			return false;
		sender = bpf_ntohs(ports[is_icmp ? 2 : 0]);
		receiver = bpf_ntohs(ports[is_icmp ? 2 : 1]);
		*sequence = (__u32)bpf_ntohs(ports[2]) << 16 | bpf_ntohs(ports[3]);
	}
	key->ends = inward ? FLOW_ENDS(sender, receiver, quoted.protocol, frame->version) :
			     FLOW_ENDS(receiver, sender, quoted.protocol, frame->version);
	return true;
}

/* Whether a packet of that protocol, of TCP with that sequence number, sent against this frame's way, can be on its way. */
FLOW_FUNCTION int quoted_fits(struct frame *frame, struct flow *flow, __u8 protocol, __u32 sequence)
{
	const struct flow_side *sender = FLOW_SIDE(flow, ~frame->way), *receiver = FLOW_SIDE(flow, frame->way);
	__u32 oldest = flow->state == FLOW_OPENING && !flow->learned ? sender->limit - 1 : receiver->acknowledged;

	return protocol != IPPROTO_TCP || between(oldest, sequence, sender->end);
}

static __always_inline __u32 track_error(struct xdp_md *context, struct frame *frame)
{
	__u32 sequence = 0;
	struct flow_key key;
	int fits = 0;

	if (!quoted_key(context, frame, &key, &sequence))
		return flow_refused(frame);
	FLOW_WITH(&key, frame_time(frame), fits = quoted_fits(frame, flow, FLOW_PROTOCOL(&key), sequence));
	return fits ? CT_RELATED : flow_unknown(frame, COMMIT_NOTHING);
}

#endif
