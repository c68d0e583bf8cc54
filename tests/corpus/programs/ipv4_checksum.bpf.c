// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Sums up an IPv4 header of whatever length, in a loop bounded by the header's own length. */
#include "corpus.h"

SEC("xdp")
int ipv4_checksum(struct xdp_md *context)
{
	void *end = DATA_END(context);
	__be16 *word = DATA(context) + sizeof(struct ethernet);
	__u32 sum = 0, words;

	if ((void *)word + 20 > end)
		return XDP_PASS;
	words = (*(__u8 *)word & 15) * 2;
	for (__u32 i = 0; i < words; i++) {
		OPAQUE(word);
		GOOD(if ((void *)(word + 1) > end) return XDP_DROP;)
		sum += *word++;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16) == 0xffff ? XDP_PASS : XDP_DROP;
}
