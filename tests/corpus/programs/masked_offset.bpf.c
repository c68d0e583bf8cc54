// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A mask bounds an offset into the packet. */
#include "corpus.h"

SEC("xdp")
int masked_offset(struct xdp_md *context)
{
	__u8 *data = DATA(context);
	__u32 at;

	if ((void *)data + EITHER(80, 76) > DATA_END(context))
		return XDP_PASS;
	at = data[14] & 63;
	return data[at + 16] ? XDP_PASS : XDP_DROP;
}
