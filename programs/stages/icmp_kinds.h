/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What a message of ICMP or ICMPv6 is to others, by its type (RFC 792, RFC 950, RFC 4443, RFC 4861, RFC 2710). */
#ifndef TIDEGATE_ICMP_KINDS_H
#define TIDEGATE_ICMP_KINDS_H

#include <linux/in.h>
#include <linux/in6.h>

#include "stage.h"

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

#endif
