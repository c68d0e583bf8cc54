// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Drops IPv4 packets with a source route among their options. */
#include "corpus.h"

SEC("xdp")
int ipv4_options(struct xdp_md *context)
{
	void *data = DATA(context), *end = DATA_END(context);
	struct ipv4 *ip = data + sizeof(struct ethernet);
	__u32 length, at = sizeof(*ip);

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	length = (ip->version_length & 15) * 4;
	for (int i = 0; i < 12; i++) {
		__u8 *option = (void *)ip + at;

		if (at >= length)
			return XDP_PASS;
		GOOD(if ((void *)(option + 2) > end) return XDP_DROP;)
		if (option[0] == 131 || option[0] == 137)
			return XDP_DROP;
		at += option[0] > 1 ? option[1] : 1;
		at &= 63;
	}
	return XDP_PASS;
}
