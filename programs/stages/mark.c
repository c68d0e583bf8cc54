/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Writes the DSCP that a rule has chosen (`action: mark`) into a packet that leaves: IPv4's, whose checksum follows by
 * what has changed (RFC 1624), or IPv6's, which has none. ECN stays what it is.
 *
 * Of a packet in a tunnel the outermost header is marked, which is what routers see.
 *
 *     IPv4   version:4 length:4 | DSCP:6 ECN:2            IPv6   version:4 | DSCP:6 ECN:2 | flow label:20
 */
#include "checksum.h"
#include "link.h"

#define DSCP 0x3f
#define IPV6_DSCP_SHIFT 22

STAGE(mark)
{
	__u32 dscp, before, after, version;
	struct ipv4 *ip;
	__u8 *first;
	__u64 at;

	if (!frame || !frame->dscp)
		return NEXT;
	dscp = frame->dscp & DSCP;
	at = link_length(context);
	first = at ? frame_bytes(context, at, 1) : 0;
	if (!first)
		return NEXT;
	version = *first >> 4;
	if (version == VERSION_6) {
		__be32 *word = frame_bytes(context, at, sizeof(*word));

		if (word)
			*word = bpf_htonl((bpf_ntohl(*word) & ~(DSCP << IPV6_DSCP_SHIFT)) | dscp << IPV6_DSCP_SHIFT);
		return NEXT;
	}
	if (version != VERSION_4)
		return NEXT;
	ip = frame_bytes(context, at, sizeof(*ip));
	if (!ip)
		return NEXT;
	before = ip->service;
	after = (before & ~(DSCP << 2)) | dscp << 2;
	ip->service = after;
	ip->checksum = changed(ip->checksum, change(before << 8, after << 8)); /* the second byte of its word, in memory */
	return NEXT;
}
