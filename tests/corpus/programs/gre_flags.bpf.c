// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The protocol in a GRE header, whose optional fields depend on its flags. */
#include "corpus.h"

SEC("xdp")
int gre_flags(struct xdp_md *context)
{
	void *end = DATA_END(context);
	__u8 *gre = DATA(context) + 34;
	__u32 size = 4;

	if ((void *)gre + 4 > end)
		return XDP_PASS;
	if (gre[0] & 0x80)
		size += 4;
	if (gre[0] & 0x20)
		size += 4;
	if (gre[0] & 0x10)
		size += 4;
	if ((void *)gre + EITHER(size + 20, size + 9) > end)
		return XDP_DROP;
	return gre[size + 9] == PROTOCOL_TCP ? XDP_PASS : XDP_DROP;
}
