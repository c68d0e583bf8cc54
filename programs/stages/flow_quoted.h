/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The packet that an ICMP error quotes: whose flow it is of, and whether it can be.
 *
 * An error goes back to whoever sent the packet (RFC 5508 section 4): what it quotes went the other way, to its source
 * from its destination. Of TCP it must quote a segment that is on its way (RFC 5927 section 4.1).
 */
#ifndef TIDEGATE_FLOW_QUOTED_H
#define TIDEGATE_FLOW_QUOTED_H

#include "flow.h"
#include "flow_window.h"
#include "quoted_packet.h"

/* The flow's key by what is quoted; its sequence number, or its identifier in both ports. */
static __always_inline bool quoted_key(struct xdp_md *context, struct frame *frame, struct flow_key *key, __u32 *sequence)
{
	struct quoted quoted = {};
	__u32 sender = 0, receiver = 0;
	__be16 *ports;
	bool found, is_ports, is_icmp, inward = frame->way == WAY_IN;

	found = quoted_read(context, frame, &quoted);
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
		*sequence = ((__u32)bpf_ntohs(ports[2]) << 16 | bpf_ntohs(ports[3])) - frame->quoted_change;
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
