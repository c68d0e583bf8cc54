// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* A shift bounds an offset into the packet. */
#include "corpus.h"

SEC("xdp")
int shifted_offset(struct xdp_md *context)
{
	__u8 *data = DATA(context);
	__u32 at;

	if ((void *)data + 48 > DATA_END(context))
		return XDP_PASS;
	at = data[12] >> EITHER(4, 2);
	return data[at + 30] ? XDP_PASS : XDP_DROP;
}
