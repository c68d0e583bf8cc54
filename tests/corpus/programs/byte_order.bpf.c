// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A length in network byte order, swapped and bounded. */
#include "corpus.h"

SEC("xdp")
int byte_order(struct xdp_md *context)
{
	void *data = DATA(context), *end = DATA_END(context);
	struct ipv4 *ip = data + sizeof(struct ethernet);
	__u8 *last;
	__u32 length;

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	length = bpf_ntohs(ip->length);
	if (length < 20 || length > 1500)
		return XDP_DROP;
	last = (void *)ip + length - 1;
	if ((void *)last + EITHER(1, 0) > end)
		return XDP_DROP;
	return *last ? XDP_PASS : XDP_DROP;
}
