/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Writes the DSCP that a rule has chosen (`action: mark`) into a packet that leaves: IPv4's, whose checksum follows by
 * what has changed (RFC 1624), or IPv6's, which has none. ECN stays what it is.
 *
 *     IPv4   version:4 length:4 | DSCP:6 ECN:2            IPv6   version:4 | DSCP:6 ECN:2 | flow label:20
 */
#include "packet.h"
#include "stage.h"

#define DSCP 0x3f
#define IPV6_DSCP_SHIFT 22

STAGE(mark)
{
	__u32 dscp, sum, before, after;
	struct ipv4 *ip;

	if (!frame || !frame->dscp)
		return NEXT;
	dscp = frame->dscp & DSCP;
	if (frame->version == VERSION_6) {
		__be32 *word = frame_bytes(context, frame->layer3, sizeof(*word));

		if (word)
			*word = bpf_htonl((bpf_ntohl(*word) & ~(DSCP << IPV6_DSCP_SHIFT)) | dscp << IPV6_DSCP_SHIFT);
		return NEXT;
	}
	if (frame->version != VERSION_4)
		return NEXT;
	ip = frame_bytes(context, frame->layer3, sizeof(*ip));
	if (!ip)
		return NEXT;
	before = ip->service;
	after = (before & ~(DSCP << 2)) | dscp << 2;
	sum = (__u16)~bpf_ntohs(ip->checksum) + (__u16)~before + after; /* RFC 1624, equation 3; the other byte stays */
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->service = after;
	ip->checksum = bpf_htons((__u16)~sum);
	return NEXT;
}
