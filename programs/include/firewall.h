/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What the firewall and whoever fills its maps agree upon. Addresses and ports are in network byte order, all else in
 * the byte order of the machine.
 */
#ifndef TIDEGATE_FIREWALL_H
#define TIDEGATE_FIREWALL_H

#include <linux/types.h>

/* What became of a frame, and the index of its counter. */
enum reason {
	REASON_PASSED,		/* nothing was against it */
	REASON_NOT_IP,		/* passed: the firewall knows nothing about it */
	REASON_ALLOWED_SOURCE,	/* passed: its source is let through before all else */
	REASON_BLOCKED_SOURCE,
	REASON_BLOCKED_PORT,
	REASON_UNLISTED_PORT,
	REASON_SYN_RATE,
	REASON_UDP_RATE,
	REASON_FRAGMENT,
	REASON_MALFORMED,	/* the frame ends too early, or a length makes no sense */
	REASON_NESTED,		/* more VLAN tags or extension headers than anybody needs */
	REASONS,
};

enum action {
	ACTION_BLOCK = 0,
	ACTION_ALLOW = 1,
};

/* Key of `sources_v4` and `sources_v6`: the longest prefix that fits decides. */
struct prefix_v4 {
	__u32 length; /* in bits */
	__be32 address;
};

struct prefix_v6 {
	__u32 length; /* in bits */
	__be32 address[4];
};

struct source {
	__u32 action;
	__u32 reserved;
	__u64 packets; /* how many frames it decided upon */
};

enum side {
	SIDE_DESTINATION = 0,
	SIDE_SOURCE = 1, /* for answers that nobody asked for: reflected DNS, NTP, memcached */
};

/* Key of `ports`; the value is an enum action, as __u32. */
struct port {
	__u8 protocol;
	__u8 side;
	__be16 number;
};

/* Key of `rates`. IPv4 addresses stand in the last word, behind 0, 0, 0xffff (RFC 4291, 2.5.5.2). */
struct flow_source {
	__be32 address[4];
	__u32 protocol;
};

/* A rate of one frame every `interval` ns, of which `burst` ns may be used up at once; interval 0 is no limit. */
struct rate {
	__u64 interval;
	__u64 burst;
};

#define SETTING_DROP_FRAGMENTS 0x1
#define SETTING_DROP_UNLISTED 0x2 /* new TCP connections and UDP to ports that `ports` does not allow */

/* The one value of `settings`. All zero is a firewall that only looks at `sources` and `ports`. */
struct settings {
	struct rate syn;
	struct rate udp;
	__u32 flags;
	__u32 reserved;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

#endif
