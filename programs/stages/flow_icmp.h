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

enum icmp_kind {
	ICMP_REQUEST,
	ICMP_REPLY,
	ICMP_ERROR,
	ICMP_OF_LINK,
	ICMP_OTHER,
};

static __always_inline enum icmp_kind icmp_kind_v4(__u32 type)
{
	switch (type) {
	case 8:  /* echo, time stamp, information, address mask */
	case 13:
	case 15:
	case 17:
		return ICMP_REQUEST;
	case 0:
	case 14:
	case 16:
	case 18:
		return ICMP_REPLY;
	case 3: /* unreachable, source quench, redirect, time exceeded, parameter problem */
	case 4:
	case 5:
	case 11:
	case 12:
		return ICMP_ERROR;
	default:
		return ICMP_OTHER;
	}
}

static __always_inline enum icmp_kind icmp_kind_v6(__u32 type)
{
	if (type == 128)
		return ICMP_REQUEST;
	if (type == 129)
		return ICMP_REPLY;
	if (type < 128)
		return ICMP_ERROR;
	if (type <= 137 || (type >= 141 && type <= 143) || (type >= 148 && type <= 153))
		return ICMP_OF_LINK; /* listeners, neighbours and routers */
	return ICMP_OTHER;
}

static __always_inline enum icmp_kind icmp_kind(const struct frame *frame)
{
	return frame->transport == IPPROTO_ICMP ? icmp_kind_v4(frame->icmp_type) : icmp_kind_v6(frame->icmp_type);
}

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
