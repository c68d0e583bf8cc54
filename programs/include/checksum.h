/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Checksums of the Internet: sums of words of 16 bits, the carry added again (RFC 1071), and how they follow changes. */
#ifndef TIDEGATE_CHECKSUM_H
#define TIDEGATE_CHECKSUM_H

#include <linux/types.h>

#include <bpf/bpf_helpers.h>

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* What a change of a word adds to the sum that a checksum is the complement of (RFC 1624, equation 3). */
static __always_inline __u64 change(__u32 from, __u32 to)
{
	return (__u64)(__u32)~from + to;
}

static __always_inline __u16 changed(__u16 checksum, __u64 changes)
{
	return ~fold((__u64)(__u16)~checksum + changes);
}

#endif
