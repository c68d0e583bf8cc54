/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * ICMP and ICMPv6 (RFC 792, RFC 4443, RFC 5508): requests and their replies are flows by their identifier; errors belong
 * to the flow whose packet they quote; what a link says to itself (RFC 4861, RFC 2710) belongs to none.
 */
#ifndef TIDEGATE_FLOW_ICMP_H
#define TIDEGATE_FLOW_ICMP_H

#include "flow.h"
#include "flow_datagram.h"
#include "flow_quoted.h"
#include "icmp_kinds.h"

/* The key of a request or a reply; false if the frame ends before its identifier. */
static __always_inline bool icmp_key(struct xdp_md *context, struct frame *frame, struct flow_key *key)
{
	__be16 *identifier = frame_bytes(context, frame->layer4 + 4, 2);

	if (!identifier)
		return false;
	flow_key_with(frame, key, bpf_ntohs(*identifier), bpf_ntohs(*identifier));
	return true;
}

static __always_inline __u32 track_icmp(struct xdp_md *context, struct frame *frame)
{
	enum icmp_kind kind = icmp_kind(frame);
	struct flow_key key;

	if (kind == ICMP_OF_LINK)
		return CT_UNTRACKED;
	if (kind == ICMP_ERROR)
		return track_error(context, frame);
	if (kind == ICMP_OTHER || !icmp_key(context, frame, &key))
		return flow_refused(frame);
	return track_datagram(frame, &key, kind == ICMP_REPLY ? FLOW_ANSWERS : FLOW_OPENS);
}

#endif
